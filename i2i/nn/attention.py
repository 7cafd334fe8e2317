"""Attention by class-activation maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

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
        logits = torch.cat([self.average(average), self.maximum(maximum)], 1)
        n = len(average)
        return logits, repeat(self.average.weight, "1 c -> n c", n=n), repeat(self.maximum.weight, "1 c -> n c", n=n)


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
        average, maximum = (reduce(x, "n c h w -> n c", how) for how in ("mean", "max"))
        logits, by_average, by_maximum = self.heads(average, maximum)
        if isinstance(self.heads, CamHeads):  # one head for all samples, not a branch per group
            y = F.conv2d(x, self._folded(by_average[:1], by_maximum[:1])[0], self.merge.bias)
        else:
            weight = rearrange(self._folded(by_average, by_maximum), "n o i 1 1 -> (n o) i 1 1")
            y = F.conv2d(rearrange(x, "n c h w -> 1 (n c) h w"), weight, groups=len(x))
            y = rearrange(y, "1 (n c) h w -> n c h w", n=len(x))
            y = y + rearrange(self.merge.bias, "c -> c 1 1") if self.merge.bias is not None else y
        return F.leaky_relu(y, self.slope), logits

    def _folded(self, by_average: Tensor, by_maximum: Tensor) -> Tensor:
        """Fold channel weights, ``(n, C)``, into the merging convolution: ``(n, C, C, 1, 1)``."""
        first, second = self.merge.weight.chunk(2, dim=1)
        by_average, by_maximum = (rearrange(weight, "n c -> n 1 c 1 1") for weight in (by_average, by_maximum))
        return first * by_average + second * by_maximum
