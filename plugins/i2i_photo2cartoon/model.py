"""Photo2cartoon as a backbone: its objective, its order of updates, its presets."""

from __future__ import annotations

from pydantic import Field

from i2i import Backbone


class Photo2Cartoon(Backbone):
    """Photo2cartoon, the base model of Zhuang & Yang (arXiv 2007.13332); objective and order of updates as released.

    The original also has ``face_identity`` with weight 1, off here because i2i does not include its network's weights.
    """

    name = "photo2cartoon"
    objective = {"adversarial": 1.0, "cycle": 50.0, "identity": 10.0, "cam": 1000.0}
    first = "discriminator"
    presets = {
        "quick": {  # with the published options discriminators soon win and faces fill with spots
            "backbone": {"channels": 16, "lr": 1e-3},
            "discriminator": {"channels": 8},
            "loss": {"cycle": {"weight": 10.0}, "cam": {"weight": 10.0}},
        },
        "paper": {},
    }

    class Config(Backbone.Config):
        """Options of photo2cartoon."""

        generator: str = Field("photo2cartoon", description="The generator, by registered name.")
        discriminator: str = Field("ugatit", description="The discriminator, by registered name.")
        channels: int = Field(32, gt=0, description="Width of the first layers of generators and discriminators.")
        light: bool = Field(True, description="The light generator; off: the full one, at a fixed image size.")
        weight_decay: float = Field(1e-4, ge=0, description="Adam's L2 penalty.")
