"""Convolutions from or to few channels, whose gradient with respect to the input takes less time than torch's on a CPU.

That gradient is a convolution, too: one to as many channels as the input has. Torch's takes twice as long as the same
number of multiplications needs elsewhere, or longer. So the gradient's pixels at even and odd rows and columns are
computed as four channels, and then shuffled into place: the same sums, up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from i2i.nn.backward import gradients, is_plain, needed
from i2i.nn.kernels import have_kernels_for
from i2i.nn.shuffling import shuffle_pixels

_MOST_INPUTS, _LEAST_KERNEL = 4, 7
_MOST_OUTPUTS, _LEAST_SIDE = 16, 256


def suits_thin(x: Tensor, weight: Tensor, stride: int) -> bool:
    """Return whether `convolve_thin` can be used and takes less time than torch, as measured on a CPU.

    Args:
        x: ``(N, I, H, W)``.
        weight: ``(O, I, K, K)``, of a convolution without padding.
        stride: In both directions.
    """
    (outputs, inputs, kernel, wide), sides = weight.shape, x.shape[2:]
    from_few = stride == 1 and kernel % 2 == 1 and inputs <= _MOST_INPUTS
    to_few = stride == 2 and kernel % 2 == 0 and outputs <= _MOST_OUTPUTS and min(sides) >= _LEAST_SIDE
    return (
        (from_few or to_few)
        and kernel == wide >= _LEAST_KERNEL
        and all(side % 2 == 0 for side in sides)
        and x.requires_grad
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and have_kernels_for(x)
        and have_kernels_for(weight)
    )


def convolve_thin(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve without padding.

    Args:
        x: ``(N, I, H, W)``, where H and W are even.
        weight: ``(O, I, K, K)``, with an odd K and a stride of 1 or an even K and a stride of 2.
        stride: 1 or 2.

    Returns:
        ``(N, O, H', W')``.
    """
    y: Tensor = _Convolution.apply(x, weight, stride)
    return y


def of_four_pixels(weight: Tensor) -> Tensor:
    """Return weights that compute four neighbouring pixels as channels, with stride 2.

    Args:
        weight: ``(..., O, I, K, K)``.

    Returns:
        ``(..., O * 4, I, K + 1, K + 1)``.
    """
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    return rearrange(shifted, "pixel ... o i h w -> ... (o pixel) i h w")


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = needed(ctx)[:2]
        if not needs_x or not is_plain(grad):
            return *gradients(grad, x, weight, ctx.stride, [needs_x, needs_weight]), None
        _, weight_grad = gradients(grad, x, weight, ctx.stride, [False, needs_weight])
        return _input_gradient(grad, weight, ctx.stride), weight_grad, None


def _input_gradient(grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    kernel = weight.shape[-1]
    if stride == 1:
        turned = weight.flip(2, 3).transpose(0, 1)
        return shuffle_pixels(F.conv2d(grad, of_four_pixels(turned), stride=2, padding=kernel - 1))
    taps = rearrange(weight, "o i (h down) (w right) -> (i down right) o h w", down=2, right=2).flip(2, 3)
    return shuffle_pixels(F.conv2d(grad, taps, padding=kernel // 2 - 1))
