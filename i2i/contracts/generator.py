"""The generator contract: a network that translates images in one direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from i2i.config.options import Options


@dataclass
class Translation:
    """The output of a generator for N images.

    Attributes:
        image: The translated images, ``(N, 3, H, W)`` in [-1, 1].
        cam_logits: Domain logits of the class-activation map, ``(N, heads)``; None without a CAM.
        heatmap: The CAM's attention, ``(N, 1, h, w)``, unscaled; None without a CAM.
        latent: The encoding that latent losses compare, ``(N, C, h, w)``; None without one.
        encoded: The encoder's feature maps of the input, shallow to deep, each ``(N, C, h, w)``; may be empty.
    """

    image: Tensor
    cam_logits: Tensor | None = None
    heatmap: Tensor | None = None
    latent: Tensor | None = None
    encoded: list[Tensor] = field(default_factory=list)


class Generator(nn.Module, ABC):
    """A network that translates images in one direction.

    A generator does not handle groups. ``branch_points`` lists the outermost submodules that a transfer may copy per
    group; everything else is the shared trunk.

    Attributes:
        name: The name in the registry.
        provides: Outputs other than the image: any of ``"cam"``, ``"latent"``, ``"encoded"``.
        branch_points: ``fnmatch`` patterns of submodule paths. Arguments and results of matched submodules have the
            batch first.
        cam_points: The same for the classifiers of the class-activation map, which a transfer may also copy per group;
            empty without a CAM.
        encoded_channels: Channels of each map in ``Translation.encoded``.
        multiple_of: Height and width of the input must be divisible by this.
        fixed_size: True if inputs must be ``config.size`` squared.
        published_with: Options that the original project's generator has a single value of, with that value.
        stochastic: True if a call in training mode draws random numbers. Both directions then run in turn, so that
            equal seeds draw equal numbers. Torch's dropout is detected without it.
    """

    name: ClassVar[str]
    provides: ClassVar[frozenset[str]] = frozenset()
    published_with: ClassVar[Mapping[str, Any]] = {}
    branch_points: tuple[str, ...] = ()
    cam_points: tuple[str, ...] = ()
    encoded_channels: tuple[int, ...] = ()
    multiple_of: int = 1
    fixed_size: bool = False
    stochastic: bool = False

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

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's feature maps of ``x``, ``(N, 3, H, W)``; requires ``"encoded"``."""
        raise NotImplementedError(f"The generator '{self.name}' does not provide its encoding.")

    def from_latent(self, latent: Tensor) -> Tensor:
        """Decode a latent, ``(N, C, h, w)``, to an image, ``(N, 3, H, W)``; requires ``"latent"``."""
        raise NotImplementedError(f"The generator '{self.name}' has no latent to decode.")

    def share_with(self, other: Generator) -> None:
        """Take shared modules from the generator of the other direction; by default none."""

    def after_step(self) -> None:
        """Clip parameters to their range after an update, by calling ``clip`` of every submodule that has it."""
        for module in self.modules():
            clip = getattr(module, "clip", None)
            if callable(clip):
                clip()

    def published_keys(self) -> dict[str, str]:
        """Return state dict key to the original project's key, with ``published_with``; {} if there is no project."""
        return {}
