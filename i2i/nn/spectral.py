"""Layers with spectral normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_calls: ContextVar[int] = ContextVar("i2i_calls", default=1)


@contextmanager
def as_calls(count: int) -> Iterator[None]:
    """Treat every batch in this block as ``count`` successive calls, each with an equal share of the samples.

    A training call moves the power iteration on by one step, so that the second share is normalised by what follows
    from two steps, exactly as if it had been passed in a call of its own after the first.
    """
    token = _calls.set(count)
    try:
        yield
    finally:
        _calls.reset(token)


class _SpectralNorm:
    """Divide a layer's weight by its largest singular value, by one step of power iteration per training call.

    Miyato et al. 2018 (arXiv 1802.05957). ``weight`` stays the un-normalised parameter; U-GAT-IT's attention reads
    it. Torch's own parametrization iterates in another order and from another start, so that it cannot reproduce a
    published first iteration, and its older ``spectral_norm`` cannot be deep-copied, which branches need.

    The layer's output is scaled instead of its weight: a discriminator has far more weights than outputs, and the
    calls of a batch (`as_calls`) share one convolution.
    """

    weight: Tensor
    bias: Any
    u: Tensor
    v: Tensor
    training: bool
    register_buffer: Any

    def start(self) -> None:
        rows = self.weight.flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(rows.shape[0]), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(rows.shape[1]), dim=0, eps=1e-12))

    def scales(self) -> tuple[Tensor, Tensor]:
        """Return the weight, and the reciprocal of its largest singular value for each call, ``(calls,)``."""
        with torch.no_grad(), torch.autocast(self.weight.device.type, enabled=False):  # in full precision
            u, v, sigma = map(torch.stack, zip(*(self._iterate() for _ in range(_calls.get())), strict=True))
        scales: tuple[Tensor, Tensor] = _Scales.apply(self.weight, u, v, sigma)
        return scales

    def finish(self, y: Tensor, scales: Tensor) -> Tensor:
        """Scale the outputs ``y``, ``(N, out, ...)``, of each call and add the bias."""
        beside = (1,) * (y.ndim - 2)
        each = scales if len(scales) == 1 else scales.repeat_interleave(len(y) // len(scales)).view(-1, 1, *beside)
        scaled = (y * each).to(y.dtype)
        return scaled if self.bias is None else scaled.add_(self.bias.view(-1, *beside))

    def _iterate(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return u, v and sigma; while training, after a step of the iteration."""
        rows = self.weight.flatten(1)
        if not self.training:
            return self.u, self.v, torch.dot(self.u, rows @ self.v)
        self.v = F.normalize(rows.T @ self.u, dim=0, eps=1e-12)
        product = rows @ self.v
        self.u = F.normalize(product, dim=0, eps=1e-12)
        return self.u, self.v, torch.dot(self.u, product)


class SpectralConv2d(nn.Conv2d, _SpectralNorm):
    """A convolution with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, C, H, W)``."""
        weight, scales = self.scales()
        return self.finish(F.conv2d(x, weight, None, self.stride, self.padding), scales)


class SpectralLinear(nn.Linear, _SpectralNorm):
    """A linear layer with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, ``(N, in)``, to ``(N, out)``."""
        weight, scales = self.scales()
        return self.finish(F.linear(x, weight), scales)


class _Scales(torch.autograd.Function):
    """Pass a weight on together with ``1 / sigma`` of each call, where ``sigma = u^T W v`` has the gradient ``u v^T``.

    That gradient has as many entries as the weight, so it is added to the one that comes through the convolution.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        scales = sigma.reciprocal()
        ctx.save_for_backward(u, v, scales)
        return weight.view_as(weight), scales

    @staticmethod
    def backward(ctx: Any, weight_grad: Tensor, scales_grad: Tensor) -> tuple[Tensor, None, None, None]:
        u, v, scales = ctx.saved_tensors
        left = -(scales_grad * scales.square())[:, None] * u  # (calls, rows)
        rows = weight_grad.flatten(1)
        if torch.is_grad_enabled():  # somebody wants the gradient of this gradient
            rows = torch.addmm(rows, left.T, v)
        else:  # no one else holds what a convolution has just computed
            rows.addmm_(left.T, v)
        return rows.view_as(weight_grad), None, None, None
