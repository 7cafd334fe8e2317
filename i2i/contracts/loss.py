"""The loss contract, and the forward passes that losses use."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.compute.host import upload
from i2i.config.options import Options
from i2i.contracts.discriminator import Verdict
from i2i.contracts.domains import Batch, Domain
from i2i.contracts.generator import Translation
from i2i.contracts.pretrained import Pretrained


@dataclass
class Passes:
    """The forward passes of one step, each computed once; keys are the domain of the image.

    Attributes:
        batch: The real images and their groups.
        groups: Every group of the model, in the order of the group logits.
        needs: The passes that the terms need.
        fake: ``fake["b"]`` is the translation of ``batch.real["a"]``.
        identity: ``identity["b"]`` is ``batch.real["b"]`` translated by the generator into ``b``.
        cycled: ``cycled["a"]`` is ``batch.real["a"]`` translated there and back.
        reconstructed: ``reconstructed["a"]`` is ``batch.real["a"]`` encoded and decoded again within its domain.
        encoded: ``encoded["b"]`` are the feature maps of ``fake["b"]`` in the generator that made it.
        real_verdict: The discriminators' output for real images; on the discriminator side only.
        fake_verdict: Their output for fakes; detached from the generators on the discriminator side.
        judged: The real images before augmentation, with gradient if a term needs ``"gradient"``.
    """

    batch: Batch
    groups: Sequence[str] = ()
    needs: frozenset[str] = frozenset()
    fake: dict[Domain, Translation] = field(default_factory=dict)
    identity: dict[Domain, Translation] = field(default_factory=dict)
    cycled: dict[Domain, Translation] = field(default_factory=dict)
    reconstructed: dict[Domain, Tensor] = field(default_factory=dict)
    encoded: dict[Domain, list[Tensor]] = field(default_factory=dict)
    real_verdict: dict[Domain, Verdict] = field(default_factory=dict)
    fake_verdict: dict[Domain, Verdict] = field(default_factory=dict)
    judged: dict[Domain, Tensor] = field(default_factory=dict)

    @property
    def group_targets(self) -> Tensor:
        """One-hot group of every sample, ``(N, groups)``."""
        index = torch.tensor([list(self.groups).index(group) for group in self.batch.groups])
        return upload(torch.nn.functional.one_hot(index, len(self.groups)).float(), self.batch.real["a"].device)


class Loss(ABC):
    """A named, weighted loss term for the generators, the discriminators, or both.

    Values are per sample, ``(N,)``, so that samples can be weighted and routed by group.

    Attributes:
        name: The name in the registry and in the objective.
        needs: The passes it uses, any of ``"fake"``, ``"identity"``, ``"cycled"``, ``"reconstructed"``,
            ``"verdict"``, ``"gradient"`` (of verdicts with respect to real images), ``"cam"``, ``"latent"``,
            ``"encoded"``, ``"group"``. A pass that no term needs is never computed; ``"cam"``, ``"latent"`` and
            ``"encoded"`` must be provided by the generator, ``"reconstructed"`` by the backbone, ``"group"`` by a
            transfer that adds a group head. Options may make an instance need more than its class.
        fewest: Samples of new groups that the term compares with one another. A transfer that draws fewer at once is
            refused.
        boundary: For adversarial terms, the logit between real and fake, for adaptive augmentation; None for others.
    """

    name: ClassVar[str]
    needs: frozenset[str]
    fewest: ClassVar[int] = 1
    boundary: float | None = None

    class Config(Options):
        """Options of every loss."""

        weight: float = Field(1.0, ge=0, description="Weight of the term; 0 computes nothing.")

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> nn.Module | None:
        """Load the networks of the term onto ``device``, once, before training.

        Another instance is first prepared on the meta device, to report missing weights before a run begins;
        `Pretrained` then loads nothing.

        Args:
            generators: The generators in training, ``a2b`` and ``b2a``.
            device: The device to compute on.
            pretrained: Provides pretrained networks.

        Returns:
            Networks to train with the generators, such as the projections of a contrastive term, saved with the
            training state; None, the default, without any.

        Raises:
            WeightsError: Pretrained weights that it needs are not on this machine.
        """
        return None

    def generator(self, passes: Passes) -> Tensor | None:
        """Return the generators' loss per sample, ``(N,)``; None if the term has none."""
        return None

    def discriminator(self, passes: Passes) -> Tensor | None:
        """Return the discriminators' loss per sample, ``(N,)``; None if the term has none."""
        return None
