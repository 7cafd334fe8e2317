"""The contracts of pretrained networks: feature networks, and where components get them and their weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import torch
from einops import reduce
from torch import Tensor, nn

from i2i.contracts.weights import FoundWeights, WeightsSource


class FeatureNetwork(nn.Module, ABC):
    """A pretrained network that sees images, for metrics, losses and discriminators.

    The constructor builds the layers, on the meta device too; `prepare` gives them their weights.

    Args:
        variant: What follows the colon of a name such as ``timm:resnet50``; empty where nothing does.

    Attributes:
        name: The name in the registry.
        layers: The layers that `maps` can return, from shallow to deep; empty for a network that has vectors alone.
        channels: Channels of each layer's map.
        layer: The one of ``layers`` that `maps` returns by default; empty if it returns something else.
        title: The network, its layer and where its weights come from, as shown beside a score; set by `prepare`.
        resize: What `resized` does to the size of images, in words.
        fingerprint: Identifies its weights, so that features can be cached; empty: never cached. Set by `prepare`.
    """

    name: ClassVar[str]
    layers: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    layer: str = ""
    title: str
    resize: str
    fingerprint: str = ""

    def __init__(self, variant: str = "") -> None:
        super().__init__()

    @abstractmethod
    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """Load the weights; set ``title`` and ``fingerprint``.

        Args:
            pretrained: Finds and reads weights.
            weights: The user's file; None: look for them.

        Raises:
            WeightsError: The weights are not on this machine, damaged, or those of another network.
        """

    @abstractmethod
    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Return one map per layer, each ``(N, C, h, w)``, of ``x``, ``(N, 3, H, W)`` in [-1, 1], at its own size.

        Args:
            x: The images. Gradients pass to them.
            layers: Some of ``layers``, in their order; none: the map that `forward` averages.

        Raises:
            ConfigError: There is no such layer, or the network has no maps.
        """

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever ``mode`` says: batch statistics would be those of another domain."""
        return super().train(False)

    def resized(self, x: Tensor) -> Tensor:
        """Return images, ``(N, 3, H, W)`` in [-1, 1], at the size that the network was trained on."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, C)``, of images of any size: the mean of each channel."""
        return reduce(self.maps(self.resized(x))[0], "n c h w -> n c", "mean")


class Pretrained(Protocol):
    """Pretrained networks by name, as the installed plugins provide them; passed to every ``prepare``.

    Weights are looked for in the user's file, then in the caches of torch and Hugging Face, then in installed
    packages. Nothing is downloaded.
    """

    def features(self, name: str, weights: str | None, device: torch.device) -> FeatureNetwork:
        """Return a feature network with its weights, frozen and in eval mode.

        Args:
            name: Such as ``alexnet`` or ``timm:resnet50``; what follows the colon is the network's variant.
            weights: The user's file of weights; None: look for them.
            device: Where it computes. On ``meta`` it takes no memory: the weights are only looked for, and a user's
                file is checked.

        Raises:
            UnknownComponentError: No plugin provides the network.
            WeightsError: Its weights are not on this machine, damaged, or those of another network.
        """
        ...

    def find(self, network: str, path: str | Path | None = None, also: Iterable[WeightsSource] = ()) -> FoundWeights:
        """Find the file with the weights of a network, without reading it.

        Args:
            network: Such as ``vgg16``.
            path: The user's file.
            also: Sources in addition to the registered ones.

        Raises:
            WeightsError: There is none; the message lists the places searched and the remedies.
        """
        ...

    def load(
        self, network: str, path: str | Path | None = None, also: Iterable[WeightsSource] = ()
    ) -> dict[str, Tensor]:
        """Find, verify and read the weights of a network; the arguments are those of `find`.

        Raises:
            WeightsError: There are none, they are damaged, or they cannot be read.
        """
        ...

    def fill(
        self,
        module: nn.Module,
        network: str,
        path: str | Path | None = None,
        also: Iterable[WeightsSource] = (),
        convert: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict,
    ) -> FoundWeights:
        """Give a module the weights of a network, and return the file that they come from.

        On the meta device the weights are only looked for, and a user's file is checked.

        Args:
            module: The module.
            network: Such as ``vgg16``.
            path: The user's file.
            also: Sources in addition to the registered ones.
            convert: Turns the file's state dict into the module's.

        Raises:
            WeightsError: There are none, they are damaged, or they are those of another network.
        """
        ...
