"""The networks that metrics see with: AlexNet and VGG16."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from i2i import FeatureNetwork, digest
from i2i.pretrained.weights import find
from i2i_features import maps

SIDE = 128
"""Smaller images hold too little for the strides of AlexNet; at its own 224 px, real emoji are told apart no better."""


class Convolutional(FeatureNetwork):
    """The maps of one layer of a stack of convolutions (abstract)."""

    layer: ClassVar[str]

    def __init__(self, variant: str = "", weights: str | None = None) -> None:
        super().__init__()
        layer = variant or self.layer
        found = find(self.name, weights)
        self.network = maps.pretrained(self.name, [layer], weights)
        self.title = f"{type(self).__name__} {layer} ({found.source.name if found.source else found.path})"
        self.resize = f"{SIDE} px, bicubic"
        self.fingerprint = fingerprint(f"{self.name} {layer} {self.resize}", found.path)

    def maps(self, x: Tensor) -> Tensor:
        """Return the layer's maps, ``(N, C, h, w)``, of ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        found: list[Tensor] = self.network(resized(x, SIDE))
        return found[0]


class AlexNet(Convolutional):
    """AlexNet on ImageNet (Krizhevsky 2014, arXiv 1404.5997): 256 features of ``relu5``; ``alexnet:relu3`` has 384."""

    name = "alexnet"
    layer = "relu5"


class VGG16(Convolutional):
    """VGG16 on ImageNet (Simonyan & Zisserman 2015, arXiv 1409.1556): 512 features of ``relu5_3``, or another layer."""

    name = "vgg16"
    layer = "relu5_3"


def fingerprint(told: str, weights: Path) -> str:
    """Name a network by what it is told to be and its file of weights, for `FeatureNetwork.fingerprint`."""
    return hashlib.sha256(f"{told} {digest(weights)}".encode()).hexdigest()[:16]


def resized(x: Tensor, side: int) -> Tensor:
    """Scale images, ``(N, 3, H, W)`` in [-1, 1], to ``side`` squared, without ringing out of the range."""
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
