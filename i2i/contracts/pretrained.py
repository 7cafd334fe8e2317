"""The contracts of pretrained networks: feature networks, and access to them and their weights."""

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
    """A pretrained image network for metrics, losses and discriminators.

    The constructor builds the layers, also on the meta device; `prepare` loads their weights.

    Args:
        variant: The part after the colon in names such as ``timm:resnet50``; may be empty.

    Attributes:
        name: The name in the registry.
        layers: The layers that `maps` can return, shallow to deep; empty for networks that only return vectors.
        channels: Channels of each layer's map.
        layer: The layer that `maps` returns by default; empty if it is none of ``layers``.
        title: Network, layer and source of the weights, as shown with scores; set by `prepare`.
        resize: How `resized` resizes images, in words.
        fingerprint: Identifies the weights in the feature cache; empty: do not cache. Set by `prepare`.
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
            weights: The user's file; None: search for weights.

        Raises:
            WeightsError: The weights are not on this machine, damaged, or for another network.
        """

    @abstractmethod
    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Return one map per layer, each ``(N, C, h, w)``, for ``x``, ``(N, 3, H, W)`` in [-1, 1], without resizing.

        Args:
            x: The images; gradients flow back to them.
            layers: A subset of ``layers``, in order; empty: the map that `forward` averages.

        Raises:
            ConfigError: There is no such layer, or the network has no maps.
        """

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode whatever ``mode`` is: batch statistics would come from another domain."""
        return super().train(False)

    def resized(self, x: Tensor) -> Tensor:
        """Resize images, ``(N, 3, H, W)`` in [-1, 1], to the size that the network was trained on."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, C)``, of images of any size: the mean of each channel."""
        return reduce(self.maps(self.resized(x))[0], "n c h w -> n c", "mean")


class Pretrained(Protocol):
    """Pretrained networks by name, as the installed plugins provide them; passed to every ``prepare``.

    Weights come from the user's file, else the caches of torch and Hugging Face, else installed packages. Nothing is
    downloaded.
    """

    def features(self, name: str, weights: str | None, device: torch.device) -> FeatureNetwork:
        """Return a feature network with its weights, frozen and in eval mode.

        Args:
            name: Such as ``alexnet``, or ``timm:resnet50`` with the variant after the colon.
            weights: The user's file; None: search for weights.
            device: The device to load to. On ``meta`` it takes no memory: the weights are only located, and a user's
                file is checked.

        Raises:
            UnknownComponentError: No plugin provides the network.
            WeightsError: Its weights are not on this machine, damaged, or for another network.
        """
        ...

    def find(self, network: str, path: str | Path | None = None, also: Iterable[WeightsSource] = ()) -> FoundWeights:
        """Find the weights file of a network, without reading it.

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
        """Load the weights of a network into a module, and return their file.

        On the meta device the weights are only located, and a user's file is checked.

        Args:
            module: The module.
            network: Such as ``vgg16``.
            path: The user's file.
            also: Sources in addition to the registered ones.
            convert: Converts the file's state dict to the module's.

        Raises:
            WeightsError: There are none, they are damaged, or they are for another network.
        """
        ...
