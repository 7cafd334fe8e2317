"""The backbone contract: a whole translation model, and the passes of every two-generator cycle model."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.compute.concurrency import Concurrency
from i2i.config.options import Options
from i2i.contracts.augmentation import Augmentation, Unaugmented
from i2i.contracts.batched import detach, take
from i2i.contracts.branches import routed
from i2i.contracts.discriminator import Discriminator, Verdict, judges_each_alone
from i2i.contracts.domains import DIRECTION_INTO, DOMAINS, OTHER_DOMAIN, Batch, Direction, Domain
from i2i.contracts.generator import Generator, Translation
from i2i.contracts.loss import Passes
from i2i.contracts.results import checked_translation, checked_verdict
from i2i.contracts.stochastic import is_stochastic
from i2i.nn.calls import as_calls
from i2i.nn.muon import Muon

R = TypeVar("R")

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
        concurrency: Runs both directions at the same time where possible; set by training.
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
        optimizer: Literal["adam", "muon"] = Field(
            "adam", description="Adam, or Muon for weights that are matrices or convolutions and Adam for the others."
        )
        lr: float = Field(1e-4, gt=0, description="The optimizer's learning rate.")
        betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's betas.")
        momentum: float = Field(0.9, ge=0, lt=1, description="Muon's momentum.")
        weight_decay: float = Field(0.0, ge=0, description="L2 penalty of Adam; with Muon, decay by this times lr.")

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
        self.concurrency = Concurrency()
        self._answers: dict[tuple[Callable[[nn.Module], bool], nn.Module], bool] = {}

    def train(self, mode: bool = True) -> Self:
        """Set training or eval mode; modules of the networks may be replaced before this call, but not after it."""
        self._answers.clear()
        return super().train(mode)

    def generator(self, direction: Direction) -> Generator:
        """Return the generator of a direction; a transfer may have replaced it by a wrapper."""
        return cast(Generator, self.generators[direction])

    def networks(self, side: Side) -> nn.ModuleDict:
        """Return the networks that a side updates."""
        return self.generators if side == "generator" else self.discriminators

    def passes(self, batch: Batch, needs: frozenset[str], groups: Iterable[str]) -> Passes:
        """Run the generators once for all passes in ``needs``; passes through the same weights share a call."""
        passes = Passes(batch, tuple(groups), needs)
        for domain, (fake, identity) in self._by_domain(self.generators, partial(self._into, passes)).items():
            passes.fake[domain] = fake
            if identity is not None:
                passes.identity[domain] = identity
        if "cycled" in needs:
            back = self._by_domain(self.generators, partial(self._back, passes))
            passes.cycled = {domain: back[OTHER_DOMAIN[domain]] for domain in DOMAINS}
        if "encoded" in needs:
            passes.encoded = self._by_domain(self.generators, partial(self._encoded, passes))
        return passes

    def judge(self, passes: Passes, side: Side) -> None:
        """Add the verdicts that the losses of ``side`` need to ``passes``.

        The discriminator side sees real images and detached fakes from the pool; the generator side sees live fakes.
        Augmentation comes last, so gradients at real images pass through it, and the pool holds unaugmented fakes.
        """
        groups = passes.batch.groups
        if side == "generator":
            fakes = {domain: self.augmentation(domain, passes.fake[domain].image, groups) for domain in DOMAINS}
            verdicts = self._by_domain(self.discriminators, lambda domain: self.verdict(domain, fakes[domain], groups))
            passes.fake_verdict = verdicts
            return
        shown = {domain: self._shown(domain, passes) for domain in DOMAINS}
        discriminate = partial(self._discriminate, shown, groups, "gradient" in passes.needs)
        for domain, (real, fake) in self._by_domain(self.discriminators, discriminate).items():
            passes.real_verdict[domain], passes.fake_verdict[domain] = real, fake
            self.augmentation.observe(domain, real.logits, groups)

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
        """Return the optimizer of one side; each parameter group sets its own ``lr``."""
        config = self.config
        options: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "weight_decay": config.weight_decay}
        if config.optimizer == "muon":
            return Muon(parameters, momentum=config.momentum, **options)
        return torch.optim.Adam(parameters, fused=True, **options)

    def lr_factor(self, step: int, steps: int) -> float:
        """Return the factor on every learning rate before 0-based ``step``: constant, then linearly to zero."""
        half = steps // 2
        return 1.0 if step < half else (steps - step) / max(1, steps - half)

    def training_state(self) -> dict[str, Tensor]:
        """Return training state other than weights, such as an image pool, as tensors by name."""
        return {}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore the result of `training_state`."""

    def _by_domain(self, networks: nn.Module, function: Callable[[Domain], R]) -> dict[Domain, R]:
        """Return the result for each domain of a function that runs these networks.

        A function of the images in a domain always runs in the same thread, so that autograd, which counts the nodes
        of each thread, orders those of a direction as if both ran in turn.
        """
        in_turn = self._ask(is_stochastic, networks)
        results = map(function, DOMAINS) if in_turn else self.concurrency.map(function, DOMAINS)
        return dict(zip(DOMAINS, results, strict=True))

    def _ask(self, question: Callable[[nn.Module], bool], network: nn.Module) -> bool:
        """Return the answer to a question about all modules of a network, asked once: a network may have a thousand."""
        key = question, network
        if key not in self._answers:
            self._answers[key] = question(network)
        return self._answers[key]

    def _into(self, passes: Passes, domain: Domain) -> tuple[Translation, Translation | None]:
        """Return the translation into a domain, and the domain's identity images if they are needed."""
        real, groups = passes.batch.real, passes.batch.groups
        source, direction = real[OTHER_DOMAIN[domain]], DIRECTION_INTO[domain]
        if "identity" not in passes.needs:
            return self._generate(direction, source, groups), None
        both = self._generate(direction, torch.cat([source, real[domain]]), groups + groups)
        return take(both, slice(len(source))), take(both, slice(len(source), None))

    def _back(self, passes: Passes, domain: Domain) -> Translation:
        """Return the translation of a domain's fakes back to where they come from."""
        return self._generate(DIRECTION_INTO[OTHER_DOMAIN[domain]], passes.fake[domain].image, passes.batch.groups)

    def _encoded(self, passes: Passes, domain: Domain) -> list[Tensor]:
        """Return the feature maps of the translation into a domain."""
        return self.encode(DIRECTION_INTO[domain], passes.fake[domain].image, passes.batch.groups)

    def _shown(self, domain: Domain, passes: Passes) -> tuple[Tensor, Tensor]:
        """Return the real images and the fakes that the discriminator of a domain sees."""
        groups, real = passes.batch.groups, passes.batch.real[domain]
        passes.judged[domain] = real.detach().requires_grad_() if "gradient" in passes.needs else real
        shown = self.augmentation(domain, passes.judged[domain], groups)
        fake = self.remember(domain, detach(passes.fake[domain].image), groups)
        return shown, self.augmentation(domain, fake, groups)

    def _discriminate(
        self, shown: Mapping[Domain, tuple[Tensor, Tensor]], groups: tuple[str, ...], steep: bool, domain: Domain
    ) -> tuple[Verdict, Verdict]:
        """Run the discriminator on real images and fakes, in one batch if that does not change the result.

        A gradient at real images needs separate batches: a shared one would compute it at the fakes too, for nothing.
        """
        real, fake = shown[domain]
        if steep or not self._ask(judges_each_alone, self.discriminators[domain]):
            return self.verdict(domain, real, groups), self.verdict(domain, fake, groups)
        with as_calls(2):
            both = self.verdict(domain, torch.cat([real, fake]), groups + groups)
        return take(both, slice(len(groups))), take(both, slice(len(groups), None))

    def _generate(self, direction: Direction, x: Tensor, groups: tuple[str, ...] | None) -> Translation:
        """Run the generator of a direction on ``x``, ``(N, 3, H, W)``, each sample through its group's branch."""
        with routed(groups):
            return checked_translation(self.generators[direction](x), x, self.generators[direction])
