"""Convolutions that compute published layers with fewer operations."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from i2i.nn.joint import biases, convolve, convolve_by, stack
from i2i.nn.padding import reflect
from i2i.nn.shuffling import shuffle_pixels
from i2i.nn.thin import of_four_pixels

Upsampling = Literal["nearest", "bilinear"]
"""How a map is enlarged before a convolution."""
_SUMS: Mapping[Upsampling, int] = {"nearest": 1, "bilinear": 3}  # of neighbours: (1, 1), and (1, 3, 3, 1) / 4


class Conv2d(nn.Conv2d):
    """Torch's convolution, by whichever algorithm takes the least time on a CPU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        side: Height and width of the kernel.
        stride: Step between outputs.
        padding: Zeros on each side.
        bias: Whether to add a bias.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, side, stride, padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, inputs, H, W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Convolve equal shares of ``x``, ``(N, inputs, H, W)``, by one layer each."""
        return convolve_by(layers, x)


class DoublingConv2d(nn.Conv2d):
    """Up-sampling by 2 and a convolution, as one convolution with four times the outputs, then interleaved.

    The sums are the same, since few input pixels decide an output pixel (`fold_upsampling`). With nearest neighbours
    and a side of 3 that takes 2.25 times fewer operations. The map is padded with its border, repeated; for nearest
    neighbours and a side of 3 that is the same as reflecting the enlarged map by a pixel.

    After nearest neighbours weights can leave a pattern of two pixels; after bilinear up-sampling they cannot (Odena et
    al. 2016, "Deconvolution and Checkerboard Artifacts").

    Args:
        inputs: Channels in.
        outputs: Channels out.
        side: Height and width of the kernel; odd.
        bias: Whether to add a bias.
        upsampling: How the map is enlarged.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int = 3, bias: bool = False, upsampling: Upsampling = "nearest"
    ) -> None:
        super().__init__(inputs, outputs, side, bias=bias)
        self.upsampling = upsampling

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, 2H, 2W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Map equal shares of ``x``, ``(N, inputs, H, W)``, by one layer each; all with the same up-sampling."""
        folded = fold_upsampling(torch.cat([layer.weight for layer in layers]), layers[0].upsampling)
        side = folded.shape[-1]
        weights = rearrange(folded, "(g o) i h w -> g o i h w", g=len(layers))
        added = biases(layers)
        each = None if added is None else repeat(added, "g o -> g (o 4)")
        y = convolve(F.pad(x, (side // 2,) * 4, mode="replicate"), weights, each)
        return shuffle_pixels(y, cropped=side % 2 == 0)  # then the first and the last pixels have no partner


def fold_upsampling(weight: Tensor, upsampling: Upsampling = "nearest") -> Tensor:
    """Fold an up-sampling by 2 into the convolution after it, as one kernel for each pixel of 2x2.

    Args:
        weight: ``(O, I, side, side)``; the side is odd.
        upsampling: How the map is enlarged.

    Returns:
        ``(O * 4, I, t, t)``: t is ``(side + 1) / 2`` for nearest neighbours, ``(side + 3) / 2`` for bilinear.
    """
    sums = _SUMS[upsampling]
    rows = _fold(weight / 4 ** (sums - 1), 2, sums)  # (O, 2, I, t, side)
    return _fold(rows, 4, sums).flatten(0, 2)


class ImageConv2d(nn.Conv2d):
    """A 7x7 convolution to few channels with three pixels of reflection padding; even sizes only.

    Convolutions with few outputs are slow, so four neighbouring output pixels are computed as channels of an 8x8
    convolution with stride 2, then shuffled into place: the same sums, two to three times faster on a CPU.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__(inputs, outputs, 7, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Map equal shares of ``x``, ``(N, inputs, H, W)``, by one layer each."""
        wide = of_four_pixels(stack([layer.weight for layer in layers]))  # 8x8
        added = biases(layers)
        each = None if added is None else repeat(added, "g o -> g (o 4)")
        return shuffle_pixels(convolve(reflect(x, 3), wide, each, stride=2))


class ReflectionConv2d(nn.Conv2d):
    """A convolution of its input padded by ``(side - 1) // 2`` reflected pixels.

    Equal to torch's with ``padding_mode="reflect"``, in less time on a CPU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        side: Height and width of the kernel.
        stride: Step between outputs.
    """

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        self.reach = (side - 1) // 2
        super().__init__(inputs, outputs, side, stride, self.reach, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, inputs, H, W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Convolve equal shares of ``x``, ``(N, inputs, H, W)``, by one layer each."""
        weights = stack([layer.weight for layer in layers])
        return convolve(reflect(x, layers[0].reach), weights, biases(layers), layers[0].stride)


def _fold(weight: Tensor, dim: int, sums: int) -> Tensor:
    """Sum neighbouring taps along ``dim``, and deal them out to two phases, a new dimension ``dim // 2``."""
    taps = weight.unbind(dim)
    for _ in range(sums):
        taps = (taps[0], *itertools.starmap(operator.add, itertools.pairwise(taps)), taps[-1])
    return torch.stack([torch.stack(taps[phase::2], dim) for phase in (1, 0)], dim // 2)
