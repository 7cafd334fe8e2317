"""One training step in the published order, with layers as published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from published import publish
from torch import Tensor

from i2i.contracts.backbone import Backbone
from i2i.contracts.domains import DIRECTION_INTO, DOMAINS, Batch
from i2i.contracts.loss import Passes
from i2i.training.step import SIDES

REUSES = {"cyclegan"}  # keeps the generators' translations for the discriminators' update
DETACHES = {"cyclegan", "unit"}  # detaches them there; the others let gradients flow into the generators
FREEZES = {"cyclegan"}  # computes no gradient of the discriminators in the generators' update


class PublishedStep:
    """The published step of a training's backbone; its networks are changed.

    Args:
        training: Supplies the networks, losses, optimizers, images and the groups of a step.
    """

    def __init__(self, training: Any) -> None:
        self.training, self.model = training, training.backbone
        for networks in (self.model.generators, self.model.discriminators):
            publish(networks)

    def step(self) -> dict[str, float]:
        """Take a step, one group after the other; return the losses by ``side/term``, averaged as ours are."""
        reports = [_mean(list(map(self._update, self._batches(groups)))) for groups in self.training._draw()]
        self.model.after_step()
        self.training.done += 1
        return _mean(reports)

    def _batches(self, groups: tuple[str, ...]) -> Iterator[Batch]:
        for group in dict.fromkeys(groups):
            yield self.training.loader.batch((group,) * groups.count(group), self.training.engine.device)

    def _update(self, batch: Batch) -> dict[str, float]:
        model, passes, losses = self.model, None, {}
        for side in (model.first, *(side for side in SIDES if side != model.first)):
            if passes is None or model.name not in REUSES:
                passes = self._translate(batch, side)
            model.discriminators.requires_grad_(side == "discriminator" or model.name not in FREEZES)
            self._judge(passes, side)
            losses |= self._learn(passes, side)
            model.discriminators.requires_grad_(True)
        return losses

    def _learn(self, passes: Passes, side: str) -> dict[str, float]:
        training = self.training
        terms = {name: getattr(loss, side)(passes) for name, loss in training.losses.items()}
        terms = {name: term for name, term in terms.items() if term is not None}
        total = sum(training.losses[name].config.weight * term.mean() for name, term in terms.items())
        training.optimizers[side].zero_grad()
        total.backward()
        training.optimizers[side].step()
        for optimizer in training.optimizers.values():
            optimizer.zero_grad()
        return {f"{side}/{name}": term.mean().item() for name, term in terms.items()}

    def _translate(self, batch: Batch, side: str) -> Passes:
        """Translate once for each purpose; the discriminators' update needs the fakes alone."""
        model, needs, groups = self.model, self.training._needs, self.training._groups
        if side == "discriminator" and model.first == "discriminator":
            return Backbone.passes(model, batch, needs & {"fake", "verdict", "group"}, groups)
        if "reconstructed" in needs:
            return model.passes(batch, needs, groups)
        passes = Backbone.passes(model, batch, needs - {"identity"}, groups)
        if "identity" in needs:
            for domain in DOMAINS:
                passes.identity[domain] = self._generate(domain, batch.real[domain], batch)
        return passes

    def _generate(self, domain: str, x: Tensor, batch: Batch) -> Any:
        return self.model._generate(DIRECTION_INTO[domain], x, batch.groups)

    def _judge(self, passes: Passes, side: str) -> None:
        model, groups = self.model, passes.batch.groups
        for domain in DOMAINS:
            fake = passes.fake[domain].image
            if side == "discriminator":
                passes.real_verdict[domain] = model.verdict(domain, passes.batch.real[domain], groups)
                fake = fake.detach() if model.name in DETACHES else fake
            passes.fake_verdict[domain] = model.verdict(domain, fake, groups)


def _mean(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
