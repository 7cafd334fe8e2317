"""Pixel shuffling: four channels become even and odd rows and columns of one (Shi et al. 2016, arXiv 1609.05158)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from i2i.nn.kernels import call, have_kernels_for


def shuffle_pixels(x: Tensor, *, cropped: bool = False) -> Tensor:
    """Interleave the pixels of every four channels, as torch's ``pixel_shuffle`` does; on the CPU in less time.

    Args:
        x: ``(N, C * 4, H, W)``.
        cropped: Leave out the outermost pixels of the result.

    Returns:
        ``(N, C, 2 H, 2 W)``, or two fewer rows and columns.
    """
    if torch.compiler.is_compiling():
        return _shuffled(x, int(cropped))
    shuffled: Tensor = _Shuffled.apply(x, int(cropped))
    return shuffled


class _Shuffled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, crop: int) -> Tensor:
        ctx.crop = crop
        if not have_kernels_for(x):
            return _shuffled(x, crop)
        samples, channels, height, width = x.shape
        y = x.new_empty(samples, channels // 4, *(2 * (side - crop) for side in (height, width)))
        call("shuffle_forward", x.contiguous(), y, samples * channels // 4, height, width, crop)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        crop = ctx.crop
        if torch.is_grad_enabled() or not have_kernels_for(grad):
            return F.pixel_unshuffle(F.pad(grad, (crop,) * 4), 2), None
        samples, channels, *sides = grad.shape
        height, width = (side // 2 + crop for side in sides)
        x_grad = grad.new_empty(samples, channels * 4, height, width)
        call("shuffle_backward", grad.contiguous(), x_grad, samples * channels, height, width, crop)
        return x_grad, None


def _shuffled(x: Tensor, crop: int) -> Tensor:
    y = F.pixel_shuffle(x, 2)
    return y[..., crop:-crop, crop:-crop].contiguous() if crop else y
