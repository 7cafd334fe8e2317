"""Building blocks of normalisation layers: the moments of each channel, and scale and shift.

Statistics are small, so layers combine them with plain torch operations. Each operation on whole maps is a single
pass, forward and backward. Derivatives of any order are correct; second derivatives use torch's plain operations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from i2i.nn.statistics import in_parts, over_image


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return, per channel and sample, the sum of squared deviations from the mean, and the mean.

    Args:
        x: ``(N, C, H, W)``; half precision is converted to float32.

    Returns:
        Two ``(N, C)``. Divided by H * W, the first is the biased variance; by H * W - 1, the unbiased one.
        For a tile of an image (see `i2i.nn.statistics`) they are those of the image, scaled to the tile's pixels.
    """
    if in_parts():
        var, mean = over_image(widen(x), _var_mean)
        return var * x[0, 0].numel(), mean
    moments: tuple[Tensor, Tensor] = _Moments.apply(widen(x))
    return moments


def scale_channels(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``x * scale + shift`` for ``x``, ``(N, C, H, W)``, and two ``(N, C)``; half precision becomes float32."""
    scaled: Tensor = _Scaled.apply(widen(x), scale, shift)
    return scaled


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        var, mean = _var_mean(x)
        ctx.save_for_backward(x, mean)
        return var * x[0, 0].numel(), mean

    @staticmethod
    def backward(ctx: Any, squares_grad: Tensor, mean_grad: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        scale = 2 * squares_grad
        return _scaled(x, scale, mean_grad / x[0, 0].numel() - scale * mean)


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return _scaled(x, scale, shift)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        zeros = torch.zeros_like(scale)
        shift_grad, scale_grad = _sums(grad, x, zeros)
        return _scaled(grad, scale, zeros), scale_grad, shift_grad


def _var_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the biased variance and the mean of each channel, both ``(N, C)``, summed in double precision."""
    if not _is_one_pass(x):
        return torch.var_mean(x, (2, 3), correction=0)
    mean, var = torch.batch_norm_update_stats(as_one_sample(x), None, None, 0.0)
    return var.view(x.shape[:2]), mean.view(x.shape[:2])


def _sums(grad: Tensor, x: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of ``grad`` and of ``grad * (x - mean)`` over each channel, both ``(N, C)``."""
    if not _is_one_pass(x):
        return grad.sum((2, 3)), (grad * (x - mean[:, :, None, None])).sum((2, 3))
    channels = mean.flatten()
    inputs = (as_one_sample(grad), as_one_sample(x), None, None, None, channels, torch.ones_like(channels))
    _, product, total = torch.ops.aten.native_batch_norm_backward(*inputs, True, 0.0, [False, True, True])
    return total.view_as(mean), product.view_as(mean)


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    if not _is_one_pass(x):
        return torch.addcmul(shift[:, :, None, None], x, scale[:, :, None, None])
    y = torch.empty_like(x, memory_format=torch.contiguous_format)  # not a view, so that it can be activated in place
    channels = scale.flatten()
    mean, var = torch.zeros_like(channels), torch.ones_like(channels)
    inputs = (as_one_sample(x), channels, shift.flatten(), mean, var)
    unused = {name: torch.empty_like(mean[:0]) for name in ("save_mean", "save_invstd")}
    torch.ops.aten.native_batch_norm.out(*inputs, False, 0.0, 0.0, out=as_one_sample(y), **unused)
    return y


def _is_one_pass(x: Tensor) -> bool:
    """Return whether batch normalisation's kernels apply; on the CPU they are far faster than plain operations."""
    return is_eager_cpu(x) and not torch.is_grad_enabled()


def is_eager_cpu(x: Tensor) -> bool:
    """Return whether ``x`` is on the CPU and not being traced."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def as_one_sample(x: Tensor) -> Tensor:
    """Return all samples' channels as one sample's, since batch normalisation treats channels separately.

    Expanded tensors are copied: batch normalisation into a given output gets them wrong.
    """
    return x.contiguous().view(1, -1, *x.shape[2:])


def widen(x: Tensor) -> Tensor:
    """Convert half precision to float32; return anything else unchanged."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
