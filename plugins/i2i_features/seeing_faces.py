"""Face recognition networks, as networks that metrics see with."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from i2i import ConfigError, FeatureNetwork
from i2i.pretrained.weights import find
from i2i_features.identity import CROPS, SIDES, Network, recogniser, resized
from i2i_features.seeing import fingerprint

WHOLE = "whole"
"""The variant for images that show faces alone."""


class Face(FeatureNetwork):
    """A face recognition network (abstract): the features of a face, which is cut out of a prepared head."""

    def __init__(self, variant: str = "", weights: str | None = None) -> None:
        super().__init__()
        if variant not in ("", WHOLE):
            raise ConfigError(f"There is no '{self.name}:{variant}'. Known: {self.name}, {self.name}:{WHOLE}.")
        known = cast(Network, self.name)
        found = find(known, weights)
        self.network = recogniser(known, weights)
        self.cut = resized if variant else CROPS[known]
        self.side = SIDES[known]
        self.title = f"{type(self).__name__} ({found.source.name if found.source else found.path})"
        self.resize = f"{self.side} px, bilinear, {'the whole image' if variant else 'of the face, cut out'}"
        self.fingerprint = fingerprint(f"{self.name} {self.resize}", found.path)

    def maps(self, x: Tensor) -> Tensor:
        """Refuse: such a network has one vector a face.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.title} has no maps, only features of a face. Choose alexnet, vgg16 or timm:NAME.")

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, D)``, of heads, ``(N, 3, H, W)`` in [-1, 1]."""
        found: Tensor = self.network(self.cut(x, self.side))
        return found.float()


class DlibFace(Face):
    """dlib's ResNet: 128 features. ``dlib:whole`` takes images that show faces alone."""

    name = "dlib"


class MobileFaceNet(Face):
    """photo2cartoon's MobileFaceNet: 512 features. ``mobilefacenet:whole`` takes images that show faces alone."""

    name = "mobilefacenet"
