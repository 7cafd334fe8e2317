"""The generator contract: a network that translates images in one direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from i2i.config import Options


@dataclass
class Translation:
    """What a generator returns for N images.

    Attributes:
        image: The translated images, ``(N, 3, H, W)`` in [-1, 1].
        cam_logits: Domain logits of the class-activation map, ``(N, heads)``; None without a CAM.
        heatmap: Where the CAM looked, ``(N, 1, h, w)``, unscaled; None without a CAM.
        latent: The encoding that latent losses compare, ``(N, C, h, w)``; None where there is none.
    """

    image: Tensor
    cam_logits: Tensor | None = None
    heatmap: Tensor | None = None
    latent: Tensor | None = None


class Generator(nn.Module, ABC):
    """A network that translates images in one direction.

    A generator knows nothing about groups. It names in ``branch_points`` the outermost submodules of which
    each group may get its own copy; everything else is the trunk.

    Attributes:
        name: The name in the registry.
        provides: What it returns beside the image: any of ``"cam"``, ``"latent"``.
        branch_points: ``fnmatch`` patterns of submodule paths. A matched submodule is called with, and
            returns, values with the batch first.
        multiple_of: Height and width of the input must be divisible by this.
        fixed_size: True when only ``config.size`` squared inputs work.
    """

    name: ClassVar[str]
    provides: ClassVar[frozenset[str]] = frozenset()
    branch_points: tuple[str, ...] = ()
    multiple_of: int = 1
    fixed_size: bool = False

    class Config(Options):
        """Options of every generator."""

        size: int = Field(256, gt=0, description="Side of the training images in pixels.")
        channels: int = Field(64, gt=0, description="Width of the first layer.")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
