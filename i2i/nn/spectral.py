"""Layers with spectral normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn.calls import calls_in_batch
from i2i.nn.joint import biases, convolve, map_linearly, per_sample, stack
from i2i.nn.kernels import call, have_kernels_for


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
    _buffers: dict[str, Any]

    def start(self) -> None:
        rows = self.weight.flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(rows.shape[0]), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(rows.shape[1]), dim=0, eps=1e-12))


class SpectralConv2d(nn.Conv2d, _SpectralNorm):
    """A convolution with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, C, H, W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Convolve equal shares of ``x``, ``(N, C, H, W)``, by one layer each."""
        weights, scales = _weights_and_scales(layers)
        y = convolve(x, weights, stride=layers[0].stride, padding=layers[0].padding)
        return _finished(y, scales, biases(layers))


class SpectralLinear(nn.Linear, _SpectralNorm):
    """A linear layer with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, ``(N, in)``, to ``(N, out)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Map equal shares of ``x``, ``(N, in)``, by one layer each."""
        weights, scales = _weights_and_scales(layers)
        return _finished(map_linearly(x, weights), scales, biases(layers))


def _weights_and_scales(layers: Sequence[_SpectralNorm]) -> tuple[Tensor, Tensor]:
    """Return the weights, ``(G, ...)``, and the reciprocals of their largest singular values, ``(G, calls)``."""
    weights = stack([layer.weight for layer in layers])
    with torch.no_grad(), torch.autocast(weights.device.type, enabled=False):  # full precision
        u, v, sigma = _iterated(layers, weights.flatten(2))
    scaled: tuple[Tensor, Tensor] = _Scales.apply(weights, u, v, sigma)
    return scaled


def _iterated(layers: Sequence[_SpectralNorm], rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return u, v and sigma per call, ``(G, calls, ...)``; in training mode take a step of iteration before each."""
    training = layers[0].training
    u = stack([layer.u for layer in layers])
    if not training:
        v = stack([layer.v for layer in layers])
        return u[:, None], v[:, None], (u * _times(rows, v)).sum(1, keepdim=True)
    iterate = _iterate_in_c if have_kernels_for(rows) and rows.is_contiguous() else _iterate
    us, vs, sigmas = iterate(rows, u, calls_in_batch())
    for layer, left, right in zip(layers, us[:, -1].unbind(), vs[:, -1].unbind(), strict=True):
        layer._buffers.update(u=left, v=right)  # assigning them takes four times as long
    return us, vs, sigmas


def _iterate(rows: Tensor, u: Tensor, calls: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take steps from ``u``, ``(G, R)``, with matrices ``(G, R, C)``; return u, v and sigma after each."""
    steps = []
    for _ in range(calls):
        v = F.normalize(_times(rows.mT, u), dim=1, eps=1e-12)
        product = _times(rows, v)
        u = F.normalize(product, dim=1, eps=1e-12)
        steps.append((u, v, (u * product).sum(1)))
    us, vs, sigmas = (torch.stack(each, 1) for each in zip(*steps, strict=True))
    return us, vs, sigmas


def _iterate_in_c(rows: Tensor, u: Tensor, calls: int) -> tuple[Tensor, Tensor, Tensor]:
    """Do the same in one call; many small operations would take longer than what they compute."""
    groups, *shape = rows.shape
    us, vs = (rows.new_empty(groups, calls, side) for side in shape)
    sigmas = rows.new_empty(groups, calls)
    call("power_iteration", rows, u, us, vs, sigmas, groups, *shape, calls)
    return us, vs, sigmas


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply ``(G, R, C)`` by ``(G, C)``."""
    if len(matrices) == 1:
        return torch.mv(matrices[0], vectors[0])[None]
    return torch.bmm(matrices, vectors[:, :, None])[:, :, 0]


def _finished(y: Tensor, scales: Tensor, biases: Tensor | None) -> Tensor:
    """Scale the outputs of each layer and call, ``y``, ``(N, out, ...)``, and add the biases, ``(G, out)``."""
    beside = (1,) * (y.ndim - 2)
    each = scales if scales.numel() == 1 else per_sample(scales.view(-1, 1), len(y))
    each = each.view(-1, 1, *beside)
    if biases is None:
        return (y * each).to(y.dtype)
    added = (biases if len(biases) == 1 else per_sample(biases, len(y))).view(-1, y.shape[1], *beside)
    return torch.addcmul(added, y, each).to(y.dtype)


class _Scales(torch.autograd.Function):
    """Return weights and ``1 / sigma`` per call, where ``sigma = u^T W v`` has the gradient ``u v^T``.

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
        left = -(scales_grad * scales.square())[..., None] * u  # (G, calls, rows)
        rows = weight_grad.flatten(2)
        if torch.is_grad_enabled():  # for second derivatives
            rows = torch.baddbmm(rows, left.mT, v)
        else:  # safe in place: nothing else holds the convolution's new gradient
            rows.baddbmm_(left.mT, v)
        return rows.view_as(weight_grad), None, None, None
