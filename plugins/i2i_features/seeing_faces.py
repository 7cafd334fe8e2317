"""Face recognition networks as feature networks."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from i2i import ConfigError, Pretrained
from i2i_features import dlib_face, mobilefacenet
from i2i_features.normalised import Normalised, fingerprint

WHOLE = "whole"
"""The variant for images that show only a face."""


class Face(Normalised, ABC):
    """A face recognition network (abstract), applied to the face cut out of a prepared head."""

    build: ClassVar[Callable[[], nn.Module]]
    norm: ClassVar[tuple[Sequence[float], Sequence[float]]]
    side: ClassVar[int]
    crop: Callable[[Tensor, int], Tensor]

    def __init__(self, variant: str = "") -> None:
        if variant not in ("", WHOLE):
            raise ConfigError(f"There is no '{self.name}:{variant}'. Known: {self.name}, {self.name}:{WHOLE}.")
        super().__init__(variant, *self.norm)
        self.network = type(self).build()
        self.whole = bool(variant)
        self.resize = f"{self.side} px, bilinear, {'the whole image' if variant else 'of the face, cut out'}"

    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """Load the weights."""
        filled = pretrained.fill(self.network, self.name, weights)
        self.title = f"{type(self).__name__} ({filled.title})"
        self.fingerprint = fingerprint(f"{self.name} {self.resize}", filled.path)

    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Refuse: the network has one vector per face.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.title} has no maps, only features of a face. Choose alexnet, vgg16 or timm:NAME.")

    def resized(self, x: Tensor) -> Tensor:
        """Return the faces of heads, ``(N, 3, H, W)`` in [-1, 1], at the network's training size."""
        return stretched(x, self.side) if self.whole else self.crop(x, self.side)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, D)``, of heads, ``(N, 3, H, W)`` in [-1, 1]. Gradients pass to the images."""
        features: Tensor = self.network(self.normalised(self.resized(x)))
        return features.float()


def photo2cartoon_crop(x: Tensor, side: int) -> Tensor:
    """Cut the face out of a head, ``(N, 3, H, W)``, as photo2cartoon does: 162 px in the middle of 256."""
    height = x.shape[-2]
    return _cut(x, int(height / 2.1 * 0.47), int(height - height / 2.1 * 0.3), side)


def dlib_crop(x: Tensor, side: int) -> Tensor:
    """Cut the face out of a head, ``(N, 3, H, W)``, approximately as dlib does: 156 px in the middle of 256.

    The median box of dlib 20.0.1 (``get_face_chip``, padding 0.25) over 48 portraits framed by photo2cartoon's face
    preparation. dlib also turns faces upright, as that preparation already does.
    """
    height = x.shape[-2]
    return _cut(x, round(0.276 * height), round(0.887 * height), side)


def stretched(x: Tensor, side: int) -> Tensor:
    """Scale images, ``(N, 3, H, W)``, to ``side`` x ``side``, with aligned corners."""
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=True)


def _cut(x: Tensor, top: int, bottom: int, side: int) -> Tensor:
    """Cut out the horizontally centred square between two rows, and scale it."""
    left = (x.shape[-1] - (bottom - top)) // 2
    return stretched(x[..., top:bottom, max(0, left) : left + bottom - top], side)


class DlibFace(Face):
    """dlib's ResNet: 128 features. ``dlib:whole`` takes images that show only a face."""

    name = "dlib"
    build = staticmethod(dlib_face.DlibResNet)
    norm = (dlib_face.MEAN, dlib_face.STD)
    side = dlib_face.SIDE
    crop = staticmethod(dlib_crop)


class MobileFaceNet(Face):
    """photo2cartoon's MobileFaceNet: 512 features. ``mobilefacenet:whole`` takes images that show only a face."""

    name = "mobilefacenet"
    build = staticmethod(mobilefacenet.MobileFaceNetModule)
    norm = (mobilefacenet.MEAN, mobilefacenet.STD)
    side = mobilefacenet.SIDE
    crop = staticmethod(photo2cartoon_crop)
