"""Helpers shared by feature networks: image normalisation, layer checks, and fingerprints for cached features."""

from __future__ import annotations

import hashlib
from abc import ABC
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from i2i import ConfigError, FeatureNetwork, did_you_mean, digest


class Normalised(FeatureNetwork, ABC):
    """A feature network whose images are normalised as ``(x - mean) / std`` for values in [0, 1] (abstract).

    Args:
        variant: The part of the name after the colon.
        mean: Mean red, green and blue of its training images.
        std: Their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, variant: str, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(variant)
        self.register_buffer("mean", _column(mean), persistent=False)
        self.register_buffer("std", _column(std), persistent=False)

    def normalised(self, x: Tensor) -> Tensor:
        """Normalise ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        return ((x + 1) / 2 - self.mean) / self.std


def checked(layers: Sequence[str], network: FeatureNetwork) -> list[str]:
    """Return ``layers`` from shallow to deep.

    Raises:
        ConfigError: The network has no such layer, or one is listed twice.
    """
    unknown = next((layer for layer in layers if layer not in network.layers), None)
    if unknown is not None:
        near = did_you_mean(unknown, network.layers)
        raise ConfigError(
            f"The network has no layer '{unknown}'.{near} {network.name} has: {', '.join(network.layers)}."
        )
    twice = next((layer for layer in layers if layers.count(layer) > 1), None)
    if twice is not None:
        raise ConfigError(f"The layer '{twice}' is listed twice. List each layer once.")
    return sorted(layers, key=network.layers.index)


def fingerprint(description: str, weights: Path) -> str:
    """Return a hash of a network's description and weights file, for `FeatureNetwork.fingerprint`."""
    return hashlib.sha256(f"{description} {digest(weights)}".encode()).hexdigest()[:16]


def square(x: Tensor, side: int) -> Tensor:
    """Scale images, ``(N, 3, H, W)`` in [-1, 1], to ``side`` x ``side``, clamped to [-1, 1]."""
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def _column(values: Sequence[float]) -> Tensor:
    with torch.device("cpu"):  # constants are needed on the meta device, too
        return rearrange(torch.tensor(values), "c -> c 1 1")
