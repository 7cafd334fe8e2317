"""Pretrained networks by name, as maps of chosen layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i import ConfigError, did_you_mean
from i2i.pretrained.weights import fill, find, load
from i2i_features import convolutions, timm_maps
from i2i_features.frozen import Frozen

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)
NORMS = {"vgg16": IMAGENET, "vgg16-caffe": CAFFE, "alexnet": IMAGENET}
"""Mean and standard deviation of the images that each network was trained on."""
TIMM = "timm:"


def check(network: str, layers: Sequence[str], path: str | None) -> None:
    """Refuse a network or a layer that there is not, and weights that are nowhere or, in the user's file, others.

    Raises:
        ConfigError: There is no such network or layer, or a layer is named twice.
        WeightsError: The weights are nowhere, or the user's file cannot be read or does not fit.
    """
    twice = next((layer for layer in layers if layers.count(layer) > 1), None)
    if twice is not None:
        raise ConfigError(f"The layer '{twice}' is named twice. Name each layer once.")
    with torch.device("meta"):
        built = _build(network, layers)
    if isinstance(built, _Picked):
        timm_maps.look_up(built.maps.name, path)
        if path is not None:
            built.maps.take(timm_maps.read(built.maps.name, path))
    else:
        find(network, path)
        if path is not None:
            fill(built, load(network, path), network)


def pretrained(network: str, layers: Sequence[str], path: str | None) -> Frozen:
    """Return a network that maps ``(N, 3, H, W)`` in [-1, 1] to one map a layer, each ``(N, C, h, w)``.

    Args:
        network: ``vgg16``, ``vgg16-caffe``, ``alexnet``, or ``timm:NAME``.
        layers: Names of layers, with timm their numbers from 0; none: the deepest.
        path: The user's file of weights, if any.

    Raises:
        ConfigError: There is no such network or layer.
        WeightsError: The weights are nowhere, damaged, or those of another network.
    """
    built = _build(network, layers)
    if isinstance(built, _Picked):
        built.maps.take(timm_maps.read(built.maps.name, path))
        return Frozen(built, built.maps.about.mean, built.maps.about.std)
    fill(built, load(network, path), network)
    return Frozen(built, *NORMS[network])


class _Picked(nn.Module):
    """Some of the maps of a timm network."""

    def __init__(self, name: str, layers: Sequence[str]) -> None:
        super().__init__()
        self.maps = timm_maps.TimmMaps(name)
        numbers = [str(number) for number in range(len(self.maps.channels))]
        unknown = next((layer for layer in layers if layer not in numbers), None)
        if unknown is not None:
            raise ConfigError(f"The network has no layer '{unknown}'. timm's {name} has: {', '.join(numbers)}.")
        self.components = sorted(int(layer) for layer in layers) or [len(numbers) - 1]

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self.maps(x)
        return [maps[number] for number in self.components]


def _build(network: str, layers: Sequence[str]) -> nn.Module:
    if network.startswith(TIMM):
        return _Picked(network.removeprefix(TIMM), layers)
    if network == "alexnet":
        return convolutions.alexnet(layers or ["relu5"])
    if network in NORMS:
        return convolutions.vgg16(layers or ["relu5_3"], without=["pool4"])
    near = did_you_mean(network, NORMS)
    raise ConfigError(f"There is no feature network '{network}'.{near} Known: {', '.join(NORMS)}, timm:NAME.")
