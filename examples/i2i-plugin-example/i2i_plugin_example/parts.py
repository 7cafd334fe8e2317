"""A loss, a backbone made of registered parts, and a group detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from i2i import Backbone, GroupDetector, Loss, Passes


class TotalVariation(Loss):
    """Mean absolute difference between neighbouring pixels of the translations; 0 for a single flat colour."""

    name = "total_variation"
    needs = frozenset({"fake"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the variation of the translations, ``(N,)``, summed over both domains."""
        return _variation(passes.fake["a"].image) + _variation(passes.fake["b"].image)


class Sketch(Backbone):
    """Narrow CycleGAN networks that prefer flat colours."""

    name = "sketch"
    objective: ClassVar[dict[str, float | dict[str, Any]]] = {"adversarial": 1.0, "cycle": 10.0, "total_variation": 0.1}
    first = "generator"

    class Config(Backbone.Config):
        """Options of the sketch backbone."""

        generator: str = Field("resnet", description="The generator, by registered name.")
        discriminator: str = Field("patch", description="The discriminator, by registered name.")
        channels: int = Field(16, gt=0, description="Width of the first layers of generators and discriminators.")


class ByColour(GroupDetector):
    """Assigns nearly grey images to the robots, and all others to the base group."""

    name = "colour"

    def detect(self, image: Tensor, groups: Sequence[str]) -> str:
        """Return the group of ``image``, ``(3, H, W)``, by how much its channels differ."""
        colourful = (image.amax(0) - image.amin(0)).mean() > 0.25
        return groups[0] if colourful or "robot" not in groups else "robot"


def _variation(x: Tensor) -> Tensor:
    """Return one value per sample, ``(N,)``, for images ``(N, 3, H, W)``."""
    return x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))
