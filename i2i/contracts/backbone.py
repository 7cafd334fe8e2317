"""The backbone contract: a whole translation model, and the passes of every two-generator cycle model."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.config.options import Options
from i2i.contracts.augmentation import Augmentation, Unaugmented
from i2i.contracts.batched import detach, take
from i2i.contracts.branches import routed
from i2i.contracts.discriminator import Discriminator, Verdict, judges_each_alone
from i2i.contracts.domains import DIRECTION_INTO, DOMAINS, OTHER_DOMAIN, Batch, Direction, Domain
from i2i.contracts.generator import Generator, Translation
from i2i.contracts.loss import Passes
from i2i.contracts.results import checked_translation, checked_verdict
from i2i.nn.spectral import as_calls

Side = Literal["generator", "discriminator"]
"""One of the two sides of adversarial training, each with its own losses and optimizer."""


class Backbone(nn.Module, ABC):
    """A translation model: two generators, two discriminators, an objective and an update order.

    Example:
        A complete backbone that reuses registered parts::

            class Pix(Backbone):
                name = "pix"
                objective = {"adversarial": 1.0, "cycle": 10.0}
                first = "generator"

                class Config(Backbone.Config):
                    generator: str = "resnet"
                    discriminator: str = "patch"

    Attributes:
        name: The name in the registry.
        objective: Loss name to options, or to a number, its weight; users can change all of it.
        first: The side to update first in each step.
        provides: Passes beyond those of every two-generator cycle model: ``"reconstructed"``.
        requires: Passes that its generators must provide, whatever the objective.
        presets: Preset name to partial configuration.
        generators: ``a2b`` and ``b2a``.
        discriminators: ``a`` and ``b``, named after the domain they discriminate.
        augmentation: Applied to all images before the discriminators see them; set by training.
    """

    name: ClassVar[str]
    objective: ClassVar[dict[str, float | dict[str, Any]]]
    first: ClassVar[Side] = "discriminator"
    provides: ClassVar[frozenset[str]] = frozenset()
    requires: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    class Config(Options):
        """Options of every backbone; parts inherit ``size`` and ``channels`` unless they set their own."""

        generator: str = Field(description="The generator, by registered name.")
        discriminator: str = Field(description="The discriminator, by registered name.")
        channels: int = Field(64, gt=0, description="Width of the first layers of generators and discriminators.")
        lr: float = Field(1e-4, gt=0, description="Adam's learning rate.")
        betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's betas.")
        weight_decay: float = Field(0.0, ge=0, description="Adam's L2 penalty.")

    def __init__(
        self,
        config: Config,
        generators: Mapping[Direction, Generator],
        discriminators: Mapping[Domain, Discriminator],
    ) -> None:
        super().__init__()
        self.config = config
        self.generators = nn.ModuleDict({direction: network for direction, network in generators.items()})
        self.discriminators = nn.ModuleDict({domain: network for domain, network in discriminators.items()})
        self.augmentation: Augmentation = Unaugmented()

    def generator(self, direction: Direction) -> Generator:
        """Return the generator of a direction; a transfer may have replaced it by a wrapper."""
        return cast(Generator, self.generators[direction])

    def networks(self, side: Side) -> nn.ModuleDict:
        """Return the networks that a side updates."""
        return self.generators if side == "generator" else self.discriminators

    def passes(self, batch: Batch, needs: frozenset[str], groups: Iterable[str]) -> Passes:
        """Run the generators once for all passes in ``needs``; passes through the same weights share a call."""
        passes = Passes(batch, tuple(groups), needs)
        for domain in DOMAINS:
            self._into(domain, passes, "identity" in needs)
        for domain in DOMAINS:
            if "cycled" in needs:
                passes.cycled[domain] = self._generate(
                    DIRECTION_INTO[domain], passes.fake[OTHER_DOMAIN[domain]].image, batch.groups
                )
            if "encoded" in needs:
                passes.encoded[domain] = self.encode(DIRECTION_INTO[domain], passes.fake[domain].image, batch.groups)
        return passes

    def judge(self, passes: Passes, side: Side) -> None:
        """Add the verdicts that the losses of ``side`` need to ``passes``.

        The discriminator side sees real images and detached fakes from the pool; the generator side sees live fakes.
        Augmentation comes last, so gradients at real images pass through it, and the pool holds unaugmented fakes.
        """
        groups = passes.batch.groups
        for domain in DOMAINS:
            if side == "discriminator":
                self._discriminate(domain, passes)
            else:
                image = passes.fake[domain].image
                passes.fake_verdict[domain] = self._augmented_verdict(domain, image, groups)

    def verdict(self, domain: Domain, x: Tensor, groups: tuple[str, ...]) -> Verdict:
        """Run the discriminator of ``domain`` on ``x``, ``(N, 3, H, W)``; ``groups`` holds each sample's group."""
        with routed(groups):
            return checked_verdict(self.discriminators[domain](x), x, self.discriminators[domain])

    def encode(self, direction: Direction, x: Tensor, groups: tuple[str, ...] | None) -> list[Tensor]:
        """Return the feature maps of ``x``, ``(N, 3, H, W)``, from the encoder of a direction."""
        with routed(groups):
            return self.generator(direction).encode(x)

    def remember(self, domain: Domain, fake: Tensor, groups: tuple[str, ...]) -> Tensor:
        """Return the fakes to show the discriminator; an image pool swaps some for older ones."""
        return fake

    def translate(self, x: Tensor, direction: Direction = "a2b", group: str | None = None) -> Tensor:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1], as ``group`` (None: the base group)."""
        groups = None if group is None else (group,) * len(x)
        return self._generate(direction, x, groups).image

    def after_step(self) -> None:
        """Clip parameters to their range after an update."""
        for generator in cast("Iterable[Generator]", self.generators.values()):
            generator.after_step()

    def optimizer(self, parameters: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return the optimizer of one side; each Adam-style parameter group sets its own ``lr``."""
        config = self.config
        return torch.optim.Adam(
            parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )

    def lr_factor(self, step: int, steps: int) -> float:
        """Return the factor on every learning rate before 0-based ``step``: constant, then linearly to zero."""
        half = steps // 2
        return 1.0 if step < half else (steps - step) / max(1, steps - half)

    def training_state(self) -> dict[str, Tensor]:
        """Return training state other than weights, such as an image pool, as tensors by name."""
        return {}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore the result of `training_state`."""

    def _discriminate(self, domain: Domain, passes: Passes) -> None:
        """Run the discriminator on real images and fakes, in one batch if that does not change the result.

        A gradient at real images needs separate batches: a shared one would compute it at the fakes too, for nothing.
        """
        steep = "gradient" in passes.needs
        real = passes.batch.real[domain]
        passes.judged[domain] = real.detach().requires_grad_() if steep else real
        apart = steep or not judges_each_alone(self.discriminators[domain])
        verdicts = self._judge_in_turn(domain, passes) if apart else self._judge_together(domain, passes)
        passes.real_verdict[domain], passes.fake_verdict[domain] = verdicts

    def _judge_in_turn(self, domain: Domain, passes: Passes) -> tuple[Verdict, Verdict]:
        groups = passes.batch.groups
        real = self._augmented_verdict(domain, passes.judged[domain], groups)
        self.augmentation.observe(domain, real.logits, groups)
        return real, self._augmented_verdict(domain, self._remembered(domain, passes), groups)

    def _judge_together(self, domain: Domain, passes: Passes) -> tuple[Verdict, Verdict]:
        groups = passes.batch.groups
        shown = self.augmentation(domain, passes.judged[domain], groups)
        fake = self.augmentation(domain, self._remembered(domain, passes), groups)
        with as_calls(2):
            both = self.verdict(domain, torch.cat([shown, fake]), groups + groups)
        real = take(both, slice(len(groups)))
        self.augmentation.observe(domain, real.logits, groups)
        return real, take(both, slice(len(groups), None))

    def _remembered(self, domain: Domain, passes: Passes) -> Tensor:
        return self.remember(domain, detach(passes.fake[domain].image), passes.batch.groups)

    def _augmented_verdict(self, domain: Domain, x: Tensor, groups: tuple[str, ...]) -> Verdict:
        return self.verdict(domain, self.augmentation(domain, x, groups), groups)

    def _into(self, domain: Domain, passes: Passes, identity: bool) -> None:
        real, groups = passes.batch.real, passes.batch.groups
        source = real[OTHER_DOMAIN[domain]]
        if not identity:
            passes.fake[domain] = self._generate(DIRECTION_INTO[domain], source, groups)
            return
        both = self._generate(DIRECTION_INTO[domain], torch.cat([source, real[domain]]), groups + groups)
        passes.fake[domain] = take(both, slice(len(source)))
        passes.identity[domain] = take(both, slice(len(source), None))

    def _generate(self, direction: Direction, x: Tensor, groups: tuple[str, ...] | None) -> Translation:
        """Run the generator of a direction on ``x``, ``(N, 3, H, W)``, each sample through its group's branch."""
        with routed(groups):
            return checked_translation(self.generators[direction](x), x, self.generators[direction])
