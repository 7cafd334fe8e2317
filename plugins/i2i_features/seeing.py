"""AlexNet and VGG16 as feature networks."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor

from i2i import Pretrained
from i2i_features import convolutions
from i2i_features.normalised import Normalised, checked, fingerprint, square

SIDE = 128
"""Smaller images are too small for AlexNet's strides; its native 224 px is no more accurate."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)


class Convolutional(Normalised, ABC):
    """The maps of a stack of convolutions (abstract)."""

    stack: ClassVar[Callable[[], convolutions.Convolutions]]
    norm: ClassVar[tuple[Sequence[float], Sequence[float]]] = IMAGENET

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant, *self.norm)
        self.network = type(self).stack()
        self.layers, self.channels = self.network.names, self.network.widths
        (self.layer,) = checked([variant or self.layer], self)
        self.resize = f"{SIDE} px, bicubic"

    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """Load the weights of the convolutions."""
        filled = pretrained.fill(self.network, self.name, weights)
        self.title = f"{type(self).__name__} {self.layer} ({filled.title})"
        self.fingerprint = fingerprint(f"{self.name} {self.layer} {self.resize}", filled.path)

    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Return one map per layer, each ``(N, C, h, w)``, of ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        return self.network(self.normalised(x), checked(layers, self) or [self.layer])  # type: ignore[no-any-return]

    def resized(self, x: Tensor) -> Tensor:
        """Return images, ``(N, 3, H, W)`` in [-1, 1], at 128 px."""
        return square(x, SIDE)


class AlexNet(Convolutional):
    """AlexNet on ImageNet (Krizhevsky 2014, arXiv 1404.5997): 256 features at ``relu5``, 384 with ``alexnet:relu3``."""

    name = "alexnet"
    layer = "relu5"
    stack = staticmethod(convolutions.alexnet)


class VGG16(Convolutional):
    """VGG16 on ImageNet (Simonyan & Zisserman 2015, arXiv 1409.1556): 512 features at ``relu5_3``, or another layer."""

    name = "vgg16"
    layer = "relu5_3"
    stack = staticmethod(convolutions.vgg16)


class CaffeVGG16(VGG16):
    """VGG16 with Caffe's weights and its normalisation, as in UNIT's perceptual loss."""

    name = "vgg16-caffe"
    norm = CAFFE
