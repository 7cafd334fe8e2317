"""UNIT as a backbone: its objective, passes, schedule and presets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from pydantic import Field
from torch import Tensor

from i2i import (
    DIRECTION_INTO,
    DOMAINS,
    OTHER_DOMAIN,
    Backbone,
    Batch,
    Direction,
    Generator,
    Passes,
    Translation,
    routed,
)
from i2i_unit.networks import Sampled


class UNIT(Backbone):
    """UNIT (Liu et al. 2017, arXiv 1703.00848) as in its MUNIT-style release: objective, order of updates, schedule.

    Two variational auto-encoders with a shared latent space: an image is translated by the encoder of its domain and
    the decoder of the other. The learning rate is halved every 100,000 steps.
    """

    name = "unit"
    objective = {
        "adversarial": {"weight": 1.0, "mode": "lsgan"},
        "cycle": 10.0,
        "reconstruction": 10.0,
        "kl": 0.01,
        "cycle_kl": 0.01,
    }
    first = "discriminator"
    provides = frozenset({"reconstructed"})
    requires = frozenset({"latent"})
    presets = {
        "quick": {
            "backbone": {"channels": 16, "lr": 1e-3, "discriminator": "timm+patch+patch/2"},
            "generator": {"blocks": 3},
            "discriminator": {"patch": {"layers": 2}, "patch_2": {"layers": 2}},
            "loss": {"identity": {"weight": 10.0}},  # or light and dark skin change places
            "transfer": {"lr": 0.5},
            "ema": 0.998,
        },
        "paper": {},
    }

    class Config(Backbone.Config):
        """Options of UNIT."""

        generator: str = Field("unit", description="The generator, by registered name.")
        discriminator: str = Field("multiscale", description="The discriminator, by registered name.")
        weight_decay: float = Field(1e-4, ge=0, description="Adam's L2 penalty.")
        halve_lr_every: int = Field(100_000, ge=1, description="Halve learning rates every this many steps.")

    config: Config

    def passes(self, batch: Batch, needs: frozenset[str], groups: Iterable[str]) -> Passes:
        """Run the generators once for all passes in ``needs``.

        The encoding of a real image, noise included, is decoded into both domains, as in the release.
        """
        passes = super().passes(batch, needs, groups)
        if "reconstructed" in needs:
            for domain in DOMAINS:
                fake = passes.fake[OTHER_DOMAIN[domain]]
                passes.reconstructed[domain] = self._decode(DIRECTION_INTO[domain], fake, batch.groups)
        return passes

    def lr_factor(self, step: int, steps: int) -> float:
        """Return the factor on every learning rate before 0-based ``step``, whatever the number of steps."""
        return float(0.5 ** (step // self.config.halve_lr_every))

    def _decode(self, direction: Direction, translation: Translation, groups: tuple[str, ...]) -> Tensor:
        """Decode an encoding of the other direction."""
        sample = translation.sample if isinstance(translation, Sampled) else translation.latent
        with routed(groups):
            return cast(Generator, self.generators[direction]).from_latent(cast(Tensor, sample))
