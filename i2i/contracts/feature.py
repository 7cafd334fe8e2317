"""The feature network contract: pretrained networks that turn images into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from einops import reduce
from torch import Tensor, nn


class FeatureNetwork(nn.Module, ABC):
    """A pretrained network that sees images.

    Args:
        variant: What follows the colon of a name such as ``timm:resnet50``; empty where nothing does.
        weights: The user's file of weights; None: look for them.

    Attributes:
        name: The name in the registry.
        title: What it is called beside a score, its layer and where its weights come from.
        resize: What it does to the size of images; it takes images of any size.
        fingerprint: Names its weights, so that features can be kept; empty: do not.

    Raises:
        WeightsError: The constructor raises it where the weights are not on this machine.
    """

    name: ClassVar[str]
    title: str
    resize: str
    fingerprint: str = ""

    def __init__(self, variant: str = "", weights: str | None = None) -> None:
        super().__init__()

    @abstractmethod
    def maps(self, x: Tensor) -> Tensor:
        """Return the maps, ``(N, C, h, w)``, that it has of ``x``, ``(N, 3, H, W)`` in [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, C)``: the mean of each map."""
        return reduce(self.maps(x), "n c h w -> n c", "mean")
