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
    """Treat every batch in this block as ``count`` successive calls with equal shares of the samples.

    Each training call takes one step of power iteration, so the second share is normalised after two steps, exactly as
    if it came in a separate call after the first.
    """
    token = _calls.set(count)
    try:
        yield
    finally:
        _calls.reset(token)


class _SpectralNorm:
    """Division of a layer's weight by its largest singular value, with one power iteration step per training call.

    Miyato et al. 2018 (arXiv 1802.05957). ``weight`` stays the un-normalised parameter; U-GAT-IT's attention reads
    it. Torch's parametrization iterates in another order and from another start, so it cannot reproduce a published
    first iteration; its older ``spectral_norm`` cannot be deep-copied, which branches need.

    The output is scaled instead of the weight: a discriminator has far more weights than outputs, and the calls of a
    batch (`as_calls`) share one convolution.
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
        """Return the weight, and the reciprocal of its largest singular value per call, ``(calls,)``."""
        with torch.no_grad(), torch.autocast(self.weight.device.type, enabled=False):  # full precision
            u, v, sigma = map(torch.stack, zip(*(self._iterate() for _ in range(_calls.get())), strict=True))
        scales: tuple[Tensor, Tensor] = _Scales.apply(self.weight, u, v, sigma)
        return scales

    def finish(self, y: Tensor, scales: Tensor) -> Tensor:
        """Scale the outputs of each call, ``y``, ``(N, out, ...)``, and add the bias."""
        beside = (1,) * (y.ndim - 2)
        each = scales if len(scales) == 1 else scales.repeat_interleave(len(y) // len(scales)).view(-1, 1, *beside)
        scaled = (y * each).to(y.dtype)
        return scaled if self.bias is None else scaled.add_(self.bias.view(-1, *beside))

    def _iterate(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return u, v and sigma, in training mode after another iteration step."""
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
    """Return a weight and ``1 / sigma`` per call, where ``sigma = u^T W v`` has the gradient ``u v^T``.

    That gradient is as large as the weight, so it is added in place to the gradient from the convolution.
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
        if torch.is_grad_enabled():  # for second derivatives
            rows = torch.addmm(rows, left.T, v)
        else:  # safe in place: nothing else holds the convolution's new gradient
            rows.addmm_(left.T, v)
        return rows.view_as(weight_grad), None, None, None
