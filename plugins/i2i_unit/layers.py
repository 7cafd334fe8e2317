"""The layers of UNIT's networks: reflection-padded convolutions, and a normalisation over whole samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import repeat
from torch import Tensor, nn

from i2i.nn import (
    InstanceNorm,
    ReflectionConv2d,
    channel_moments,
    convolve,
    fold_upsampling,
    pool_moments,
    reflect,
    scale_channels,
    shuffle_pixels,
)


class SampleNorm(nn.Module):
    """``gamma * (x - mean) / (std + eps) + beta``, with mean and std over the whole sample, gamma and beta per channel.

    The released UNIT's layer normalisation: std is unbiased, eps is added to std and not to the variance, and gamma
    starts uniformly in [0, 1).
    """

    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``."""
        pixels = x.shape[2] * x.shape[3]
        squares, mean = pool_moments(*channel_moments(x), pixels)
        var = squares / (pixels * x.shape[1] - 1)
        std = var.clamp_min(torch.finfo(var.dtype).tiny).sqrt()  # the square root has no gradient at 0
        scale = self.gamma / (std + self.eps)  # (N, C)
        return scale_channels(x, scale, self.beta - mean * scale)


class UpsamplingConv2d(nn.Conv2d):
    """Nearest-neighbour up-sampling by 2, two reflected pixels of padding and a 5x5 convolution, with fewer operations.

    Every output pixel depends on only 3x3 different input pixels, so a 3x3 convolution with four times the output
    channels and a pixel shuffle computes the same with 2.8 times fewer operations. The outermost line of outputs on
    each side is computed by the definition instead: only there does the reflection mix pixels that folding merges.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, 2H, 2W)``; H and W are 2 or more."""
        folded = fold_upsampling(self.weight)
        bias = None if self.bias is None else repeat(self.bias, "o -> 1 (o phase)", phase=4)
        maps = convolve(F.pad(x, (1, 1, 1, 1), mode="replicate"), folded[None], bias)
        left, right = self._column(x[..., :2], slice(None, 5)), self._column(x[..., -2:], slice(-5, None))
        top, bottom = self._row(x[..., :2, :], slice(None, 5)), self._row(x[..., -2:, :], slice(-5, None))
        middle = torch.cat([left[..., 1:-1, :], shuffle_pixels(maps, cropped=True), right[..., 1:-1, :]], -1)
        return torch.cat([top, middle, bottom], -2)

    def _row(self, lines: Tensor, window: slice) -> Tensor:
        """Return the outermost row of outputs, ``(N, outputs, 1, 2W)``, from the two outermost rows of inputs."""
        return F.conv2d(_enlarge(lines)[..., window, :], self.weight, self.bias)

    def _column(self, lines: Tensor, window: slice) -> Tensor:
        """Return the outermost column of outputs, ``(N, outputs, 2H, 1)``, from the two outermost input columns."""
        return F.conv2d(_enlarge(lines)[..., window], self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with instance norms around a skip connection."""

    samplewise = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (normed(ReflectionConv2d(channels, channels, 3)) for _ in range(2))
        self.body = nn.Sequential(*first, *second[:2])

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to ``x``, ``(N, C, H, W)``."""
        y: Tensor = self.body(x)
        return x + y


def normed(conv: nn.Conv2d) -> nn.Sequential:
    """Return a convolution followed by an instance norm without parameters and ReLU."""
    return nn.Sequential(conv, InstanceNorm(), nn.ReLU(inplace=True))


def initialise_kaiming(layer: nn.Module) -> None:
    """Draw a convolution's weights from N(0, sqrt(2 / fan_in)) and zero its bias; for ``Module.apply``."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight)
        _zero_bias(layer)


def initialise_normal(layer: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02) and zero its bias; for ``Module.apply``."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        _zero_bias(layer)


def _zero_bias(layer: nn.Conv2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _enlarge(x: Tensor) -> Tensor:
    return reflect(F.interpolate(x, scale_factor=2.0, mode="nearest"), 2)
