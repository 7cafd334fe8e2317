"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn.joint import per_sample, stack
from i2i.nn.kernels import call, have_kernels_for
from i2i.nn.moments import as_one_sample, channel_moments, is_eager_cpu, scale_channels, widen
from i2i.nn.statistics import in_parts


class InstanceNorm(nn.Module):
    """``(x - mean) / sqrt(var + eps)`` of each channel of each sample (Ulyanov et al. 2016, arXiv 1607.08022).

    Equal to torch's ``InstanceNorm2d`` with its defaults: biased variance, no parameters. Torch's returns a view, so an
    in-place activation copies all of it in the backward pass.
    """

    eps = 1e-5
    samplewise = True

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``.

        Raises:
            ValueError: The maps have a single pixel, so no variance.
        """
        pixels = x.shape[2] * x.shape[3]
        if in_parts():
            return self._in_parts(widen(x), pixels).to(x.dtype)
        if pixels == 1:
            raise ValueError(f"Instance normalisation needs more than one pixel per channel, but got {tuple(x.shape)}.")
        if not is_eager_cpu(x):
            return F.instance_norm(x, eps=self.eps)
        normalised: Tensor = _Instance.apply(widen(x), self.eps)
        return normalised.to(x.dtype)

    def _in_parts(self, x: Tensor, pixels: int) -> Tensor:
        squares, mean = channel_moments(x)
        scale = torch.rsqrt(squares / pixels + self.eps)
        return scale_channels(x, scale, -mean * scale)


class LayerInstanceNorm(nn.Module):
    """``gamma * (rho * IN(x) + (1 - rho) * LN(x)) + beta``, rho in [0, 1] per channel (AdaLIN).

    Kim et al. 2020 (U-GAT-IT, arXiv 1907.10830), section 2.1.2. Variances are unbiased. With ``gamma`` and ``beta`` per
    sample it is AdaLIN; with learned ones, ILN.

    Args:
        channels: Width.
        rho: Initial rho; published: 0.9 for AdaLIN, 0 for ILN.
        affine: Learn gamma and beta instead of taking them as inputs.
    """

    eps = 1e-5

    def __init__(self, channels: int, rho: float, affine: bool) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), rho))
        if affine:
            self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``; ``gamma`` and ``beta`` are ``(N, C)``."""
        return self.jointly([self], x, *(() if gamma is None or beta is None else (gamma, beta)))

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor, *steering: Tensor) -> Tensor:
        """Normalise equal shares of ``x``, ``(N, C, H, W)``, by one layer each."""
        rho = _rows([layer.rho for layer in layers], x)
        gain, bias = steering or (_rows([getattr(layer, name) for layer in layers], x) for name in ("gamma", "beta"))
        if have_kernels_for(wide := widen(x)) and not in_parts():
            rows = (each.float().expand(x.shape[:2]) for each in (gain, bias, rho))
            normalised: Tensor = _LayerInstance.apply(wide, *rows, cls.eps)
            return normalised
        return cls._by_moments(x, gain, bias, rho)

    @classmethod
    def _by_moments(cls, x: Tensor, gain: Tensor, bias: Tensor, rho: Tensor) -> Tensor:
        squares, mean = channel_moments(x)
        layer_squares, layer_mean = pool_moments(squares, mean, pixels := x[0, 0].numel())
        by_channel = rho * torch.rsqrt(squares / (pixels - 1) + cls.eps)
        by_layer = (1 - rho) * torch.rsqrt(layer_squares / (pixels * x.shape[1] - 1) + cls.eps)
        scale = gain * (by_channel + by_layer)
        return scale_channels(x, scale, bias - gain * (by_channel * mean + by_layer * layer_mean))

    @torch.no_grad()
    def clip(self) -> None:
        """Clip rho to [0, 1]; called after every update."""
        self.rho.clamp_(0, 1)


def pool_moments(squares: Tensor, mean: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return the exact moments of whole samples, ``(N, 1)`` each, from those of their channels, ``(N, C)`` each."""
    whole = mean.mean(1, keepdim=True)
    return (squares + pixels * (mean - whole).square()).sum(1, keepdim=True), whole


def _rows(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return one row per sample from one parameter per layer, ``(1, C, 1, 1)``; a single layer's serves all."""
    rows = stack(parameters).flatten(1)
    return rows if len(rows) == 1 else per_sample(rows, len(x))


class _Instance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        ctx.eps = eps
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        planes = x.shape[0] * x.shape[1]
        if have_kernels_for(x):
            mean, inverse = torch.empty(2, planes, dtype=torch.double)
            call("instance_forward", x.contiguous(), y, mean, inverse, planes, x[0, 0].numel(), eps)
        else:
            mean, inverse = torch.empty(2, planes).to(x)
            outputs = {"out": as_one_sample(y), "save_mean": mean, "save_invstd": inverse}
            torch.ops.aten.native_batch_norm.out(as_one_sample(x), None, None, None, None, True, 0.0, eps, **outputs)
        ctx.save_for_backward(x, mean, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, *statistics = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(F.instance_norm(x, eps=ctx.eps), x, grad, create_graph=True)[0], None
        if statistics[0].dtype != x.dtype:  # those of the kernels
            x_grad = torch.empty_like(x, memory_format=torch.contiguous_format)
            sizes = (len(statistics[0]), x[0, 0].numel())
            call("instance_backward", grad.contiguous(), x.contiguous(), x_grad, *statistics, *sizes)
            return x_grad, None
        inputs = (as_one_sample(grad), as_one_sample(x), None, None, None, *statistics)
        grads = torch.ops.aten.native_batch_norm_backward(*inputs, True, ctx.eps, [True, False, False])[0]
        return grads.view_as(x), None


class _LayerInstance(torch.autograd.Function):
    """`LayerInstanceNorm` by the kernels; all of gain, bias and rho are ``(N, C)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, rho: Tensor, eps: float) -> Tensor:
        ctx.eps = eps
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        moments = [torch.empty(count, dtype=torch.double) for count in (gain.numel(), gain.numel(), len(x), len(x))]
        rows = (each.contiguous() for each in (gain, bias, rho))
        call("layer_instance_forward", x.contiguous(), y, *rows, *moments, *gain.shape, x[0, 0].numel(), eps)
        ctx.save_for_backward(x, gain, bias, rho, *moments)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, bias, rho, *moments = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_differentiable(grad, x, gain, bias, rho), None
        x_grad, *row_grads = (
            torch.empty_like(each, memory_format=torch.contiguous_format) for each in (x, gain, bias, rho)
        )
        given = (grad.contiguous(), x.contiguous(), x_grad, gain.contiguous(), rho.contiguous(), *moments)
        work = torch.empty(3, gain.numel(), dtype=torch.double)
        call("layer_instance_backward", *given, *row_grads, *work, *gain.shape, x[0, 0].numel(), ctx.eps)
        return x_grad, *row_grads, None


def _differentiable(grad: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of `LayerInstanceNorm` for its inputs by operations that can be differentiated again."""
    y = LayerInstanceNorm._by_moments(*inputs)
    wanted = [each for each in inputs if each.requires_grad]
    grads = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
    return tuple(next(grads) if each.requires_grad else None for each in inputs)
