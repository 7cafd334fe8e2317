"""Attention by class-activation maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from i2i.nn.joint import biases, convolve, map_by, per_sample, stack
from i2i.nn.spectral import SpectralLinear


class CamHeads(nn.Module):
    """The two domain classifiers of a class-activation map, for average- and max-pooled features."""

    def __init__(self, channels: int, spectral: bool = False, bias: bool = False) -> None:
        super().__init__()
        linear = SpectralLinear if spectral else nn.Linear
        self.average, self.maximum = linear(channels, 1, bias=bias), linear(channels, 1, bias=bias)

    def forward(self, average: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map two ``(N, C)`` to logits ``(N, 2)`` and the weights of both heads, each ``(N, C)``.

        Weights are not normalised, even with ``spectral``, as in U-GAT-IT's code.
        """
        return self.jointly([self], average, maximum)

    @classmethod
    def jointly(cls, heads: Sequence[Self], average: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map equal shares of two ``(N, C)`` by one pair of heads each; return what `forward` does."""
        by_average, by_maximum = [head.average for head in heads], [head.maximum for head in heads]
        logits = torch.cat([_mapped(by_average, average), _mapped(by_maximum, maximum)], 1)
        weights = [torch.cat([layer.weight for layer in layers]) for layers in (by_average, by_maximum)]
        return logits, per_sample(weights[0], len(average)), per_sample(weights[1], len(average))


class CamAttention(nn.Module):
    """Attention that weights features by how well they separate the domains (arXiv 1907.10830, section 2.1.1).

    Args:
        channels: Width of the features.
        spectral: Normalise the classifiers spectrally.
        slope: Negative slope of the activation after merging; 0 is ReLU.
        bias: Give the classifiers a bias.
    """

    def __init__(self, channels: int, spectral: bool = False, slope: float = 0.0, bias: bool = False) -> None:
        super().__init__()
        self.heads = CamHeads(channels, spectral, bias)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return attended features, ``(N, C, H, W)``, and the two logits, ``(N, 2)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to equal shares of ``x``, ``(N, C, H, W)``, by one layer each; return what `forward` does."""
        average, maximum = (reduce(x, "n c h w -> n c", how) for how in ("mean", "max"))
        heads = [layer.heads for layer in layers]
        branched = not isinstance(heads[0], CamHeads)  # heads per group in an attention that all groups share
        judge = heads[0] if branched else partial(CamHeads.jointly, heads)
        logits, by_average, by_maximum = judge(average, maximum)
        step = 1 if branched else len(x) // len(layers)
        weights = _folded(stack([layer.merge.weight for layer in layers]), by_average[::step], by_maximum[::step])
        bias = biases([layer.merge for layer in layers])
        merged = convolve(x, weights, None if bias is None else per_sample(bias, len(weights)))
        return F.leaky_relu(merged, layers[0].slope), logits


def _folded(merging: Tensor, by_average: Tensor, by_maximum: Tensor) -> Tensor:
    """Fold channel weights, ``(G, C)``, into merging convolutions, ``(G or 1, C, 2 * C, 1, 1)``."""
    first, second = merging.chunk(2, dim=2)
    by_average, by_maximum = (rearrange(weight, "g c -> g 1 c 1 1") for weight in (by_average, by_maximum))
    return first * by_average + second * by_maximum


def _mapped(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    spectral = [layer for layer in layers if isinstance(layer, SpectralLinear)]
    return SpectralLinear.jointly(spectral, x) if spectral else map_by(layers, x)
