"""Convolutions with 3x3 and 2x2 weights with far fewer multiplications, by Winograd's algorithm.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016 (arXiv 1509.09308), F(4x4, 3x3) and
F(4x4, 2x2). A tile of 6x6 input pixels and the 3x3 weights are read as polynomials and evaluated at 6x6 points. Their
products, summed over the input channels, are 36 matrix products, and 4x4 output pixels are interpolated from them. With
2x2 weights it is 5x5 pixels and points. The points per axis are 0, the square roots of 1/2 and 2 with both signs, and
infinity for 3x3 weights; rounding errors are half those with the usual 0, 1, -1, 2, -2 and infinity.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from i2i.nn.backward import gradients, is_plain, needed
from i2i.nn.kernels import call, have_kernels_for

_TILE = 4
_LEAST_CHANNELS = {(2, 2): 64, (3, 3): 32}  # by the shape of the weights
_LEAST_TILES = 16
_kept: dict[int, list[Tensor]] = {}
"""The values at the points of the parameters that do not change now, by ``id``; empty until they are needed."""


@contextmanager
def unchanging(network: nn.Module) -> Iterator[None]:
    """Evaluate a network's weights at the points once in this block, in all threads: they may not change in it.

    It takes four times the memory of the 3x3 weights.
    """
    added = {id(parameter): parameter for parameter in network.parameters() if id(parameter) not in _kept}
    _kept.update((key, []) for key in added)
    try:
        yield
    finally:
        for key in added:
            del _kept[key]


def suits_winograd(x: Tensor, weight: Tensor) -> bool:
    """Return whether `convolve_by_winograd` can be used and takes less time than torch, as measured on a CPU.

    Args:
        x: ``(N, I, H, W)``.
        weight: ``(O, I, h, w)``, of a convolution without padding or stride.
    """
    outputs, inputs, high, wide = weight.shape
    return (
        min(outputs, inputs) >= _LEAST_CHANNELS.get((high, wide), inf)
        and len(x) * _tiles(x.shape[2] - high + 1) * _tiles(x.shape[3] - wide + 1) >= _LEAST_TILES
        and not torch.is_autocast_enabled("cpu")
        and have_kernels_for(x)
        and have_kernels_for(weight)
    )


def convolve_by_winograd(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve without padding, for float32 on the CPU.

    The relative error is about 1e-6, three times that of the sum of products in single precision.

    Args:
        x: ``(N, I, H, W)``.
        weight: ``(O, I, 3, 3)`` or ``(O, I, 2, 2)``.

    Returns:
        ``(N, O, H - 2, W - 2)`` or ``(N, O, H - 1, W - 1)``.
    """
    y: Tensor = _Convolution.apply(x, weight)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        (samples, _, *sides), kernel = x.shape, weight.shape[-1]
        outputs = x.new_empty(samples, len(weight), *(side - kernel + 1 for side in sides))
        products = torch.bmm(_weights_at_points(weight), _at_points("input", x, outputs, kernel))
        return _transform("output", outputs, products, outputs, kernel)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (needs_x, needs_weight), kernel = needed(ctx), weight.shape[-1]
        if not is_plain(grad):
            return gradients(grad, x, weight, 1, [needs_x, needs_weight])
        products = _at_points("output_transposed", grad, grad, kernel)
        x_grad = weight_grad = None
        if needs_x:
            points = torch.bmm(_weights_at_points(weight).mT, products)
            x_grad = _transform("input_transposed", x.new_empty(x.shape), points, grad, kernel)
        if needs_weight:
            points = torch.bmm(products, _at_points("input", x, grad, kernel).mT)
            weight_grad = torch.empty_like(weight, memory_format=torch.contiguous_format)
            call("winograd_weights_transposed", weight_grad, points, weight.shape[0] * weight.shape[1], kernel)
        return x_grad, weight_grad


def _at_points(name: str, maps: Tensor, outputs: Tensor, kernel: int) -> Tensor:
    """Return the values of all tiles of ``maps``, ``(N, C, H, W)``, at the points, ``(points, C, N * tiles)``."""
    tiles = len(maps) * _tiles(outputs.shape[2]) * _tiles(outputs.shape[3])
    points = maps.new_empty((_TILE + kernel - 1) ** 2, maps.shape[1], tiles)
    _transform(name, maps.contiguous(), points, outputs, kernel)
    return points


def _transform(name: str, maps: Tensor, points: Tensor, outputs: Tensor, kernel: int) -> Tensor:
    """Call a function of winograd.c, for the tiles of ``outputs``, ``(N, O, H, W)``; return the maps."""
    tall, wide = (_tiles(side) for side in outputs.shape[2:])
    call(f"winograd_{name}", maps, points, *maps.shape, tall, wide, _TILE + kernel - 1)
    return maps


def _weights_at_points(weight: Tensor) -> Tensor:
    """Return ``(points, O, I)``."""
    whole = weight if weight._base is None else weight._base
    kept = _kept.get(id(whole))
    if kept is None or (whole.shape, whole.stride()) != (weight.shape, weight.stride()):
        return _evaluated(weight)
    if not kept:
        kept.append(_evaluated(weight))
    return kept[0]


def _evaluated(weight: Tensor) -> Tensor:
    outputs, inputs, kernel, _ = weight.shape
    points = weight.new_empty((_TILE + kernel - 1) ** 2, outputs, inputs)
    call("winograd_weights", weight.contiguous(), points, outputs * inputs, kernel)
    return points


def _tiles(side: int) -> int:
    return -(-side // _TILE)
