"""CycleGAN as a whole model (Zhu et al. 2017, arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from i2i import Backbone, Direction, Discriminator, Domain, Generator
from i2i_cyclegan.pool import ImagePool


class CycleGAN(Backbone):
    """Least-squares adversarial, cycle and identity terms; generators update first; discriminators see an image pool.

    The learning rate is constant for half of the steps, then falls linearly, as published (100 + 100 epochs), but
    per step instead of per epoch.
    """

    name = "cyclegan"
    objective = {
        "adversarial": {"weight": 1.0, "mode": "lsgan", "discriminator_weight": 0.5},
        "cycle": 10.0,
        "identity": 5.0,
    }
    first = "generator"
    presets = {
        "quick": {
            "backbone": {"channels": 24, "lr": 1e-3, "discriminator": "timm+patch+patch/2"},
            "generator": {"blocks": 6},
            "discriminator": {"patch": {"layers": 2}, "patch_2": {"layers": 2}},
            "loss": {"identity": {"weight": 10.0}},  # with 5, these discriminators turn light skin yellow
            "transfer": {"lr": 0.5},
            "ema": 0.998,
        },
        "paper": {"backbone": {"channels": 64}, "generator": {"blocks": 9}},
    }

    class Config(Backbone.Config):
        """Options of CycleGAN."""

        generator: str = Field("resnet", description="The generator, by registered name.")
        discriminator: str = Field("patch", description="The discriminator, by registered name.")
        lr: float = Field(2e-4, gt=0, description="The optimizer's learning rate.")
        pool_size: int = Field(50, ge=0, description="Older fakes kept per domain and group; 0 keeps none.")

    def __init__(
        self,
        config: Config,
        generators: Mapping[Direction, Generator],
        discriminators: Mapping[Domain, Discriminator],
    ) -> None:
        super().__init__(config, generators, discriminators)
        self.pool = ImagePool(config.pool_size)

    def remember(self, domain: Domain, fake: Tensor, groups: tuple[str, ...]) -> Tensor:
        """Replace some fakes, ``(N, 3, H, W)``, with older ones of the same domain and group."""
        return self.pool.query(domain, fake, groups)

    def training_state(self) -> dict[str, Tensor]:
        """Return the image pool, ``(n, 3, H, W)`` by ``pool/domain/group``."""
        return {f"pool/{key}": images for key, images in self.pool.state().items()}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore what ``training_state`` returned."""
        self.pool.load({key.removeprefix("pool/"): images for key, images in state.items()})
