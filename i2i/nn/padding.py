"""Padding."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn.kernels import call, have_kernels_for


class ReflectionPad2d(nn.ReflectionPad2d):
    """Reflection padding, as torch's, by `reflect`."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad ``x``, ``(N, C, H, W)``."""
        left, right, top, bottom = self.padding
        return reflect(x, left) if left == right == top == bottom else super().forward(x)


def reflect(x: Tensor, padding: int) -> Tensor:
    """Pad ``x``, ``(N, C, H, W)``, by reflection on all sides; on the CPU this takes half the time of torch's.

    Args:
        x: Maps.
        padding: Pixels, fewer than H and W.

    Returns:
        ``(N, C, H + 2 * padding, W + 2 * padding)``.
    """
    if not have_kernels_for(x) or x.ndim != 4 or padding >= min(x.shape[2:]):
        return F.pad(x, (padding,) * 4, mode="reflect")
    padded: Tensor = _Reflected.apply(x, padding)
    return padded


class _Reflected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, padding: int) -> Tensor:
        ctx.shape, ctx.padding = x.shape, padding
        samples, channels, height, width = x.shape
        y = x.new_empty(samples, channels, height + 2 * padding, width + 2 * padding)
        call("reflect_forward", x.contiguous(), y, samples * channels, height, width, padding)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            return _folded(grad, ctx.shape, ctx.padding), None
        x_grad = grad.new_empty(ctx.shape)
        samples, channels, height, width = ctx.shape
        call("reflect_backward", grad.contiguous(), x_grad, samples * channels, height, width, ctx.padding)
        return x_grad, None


def _folded(grad: Tensor, shape: torch.Size, padding: int) -> Tensor:
    """Return the gradient by operations that can be differentiated again; it does not depend on the input's values."""
    x = torch.zeros(shape, dtype=grad.dtype, device=grad.device, requires_grad=True)
    y = F.pad(x, (padding,) * 4, mode="reflect")
    return torch.autograd.grad(y, x, grad, create_graph=True)[0]
