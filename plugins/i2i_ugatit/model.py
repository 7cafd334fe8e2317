"""U-GAT-IT as a backbone: its objective, its order of updates, its presets."""

from __future__ import annotations

from pydantic import Field

from i2i import Backbone


class UGATIT(Backbone):
    """U-GAT-IT (Kim et al. 2020, arXiv 1907.10830); objective and order of updates as in the released code."""

    name = "ugatit"
    objective = {"adversarial": 1.0, "cycle": 10.0, "identity": 10.0, "cam": 1000.0}
    first = "discriminator"
    presets = {
        "quick": {
            "backbone": {"channels": 16, "lr": 5e-4, "discriminator": "timm+patch+patch/2"},
            "generator": {"blocks": 3},
            "discriminator": {"patch": {"layers": 2}, "patch_2": {"layers": 2}},
            "loss": {"cam": {"weight": 10.0}},  # 1000 drowns the other terms for the first few thousand steps
            "ema": 0.998,
        },
        "paper": {},
    }

    class Config(Backbone.Config):
        """Options of U-GAT-IT."""

        generator: str = Field("ugatit", description="The generator, by registered name.")
        discriminator: str = Field("ugatit", description="The discriminator, by registered name.")
        light: bool = Field(True, description="The light generator; off: the full one, at a fixed image size.")
        weight_decay: float = Field(1e-4, ge=0, description="Adam's L2 penalty.")
