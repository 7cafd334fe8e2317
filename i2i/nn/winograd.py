"""3x3 convolutions with a quarter of the multiplications, by Winograd's algorithm.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016 (arXiv 1509.09308), F(4x4, 3x3).
A tile of 6x6 input pixels and the 3x3 weights are read as polynomials and evaluated at 6x6 points. Their products,
summed over the input channels, are 36 matrix products, and 4x4 output pixels are interpolated from them. The points per
axis are 0, the square roots of 1/2 and 2 with both signs, and infinity; rounding errors are half those with the usual
0, 1, -1, 2, -2 and infinity.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from i2i.nn.kernels import call, have_kernels_for

_SIDE, _TILE = 3, 4
_LEAST_CHANNELS, _LEAST_TILES = 32, 16


def suits_winograd(x: Tensor, weight: Tensor) -> bool:
    """Return whether `convolve_by_winograd` can be used and takes less time than torch, as measured on a CPU.

    Args:
        x: ``(N, I, H, W)``.
        weight: ``(O, I, h, w)``, of a convolution without padding or stride.
    """
    tall, wide = (_tiles(side - _SIDE + 1) for side in x.shape[2:])
    return (
        weight.shape[2:] == (_SIDE, _SIDE)
        and min(weight.shape[:2]) >= _LEAST_CHANNELS
        and len(x) * tall * wide >= _LEAST_TILES
        and not torch.is_autocast_enabled("cpu")
        and have_kernels_for(x)
        and have_kernels_for(weight)
    )


def convolve_by_winograd(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve without padding, for float32 on the CPU.

    The relative error is about 1e-6, three times that of the sum of products in single precision.

    Args:
        x: ``(N, I, H, W)``.
        weight: ``(O, I, 3, 3)``.

    Returns:
        ``(N, O, H - 2, W - 2)``.
    """
    y: Tensor = _Convolution.apply(x, weight)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        samples, _, height, width = x.shape
        outputs = weight.new_empty(samples, len(weight), height - _SIDE + 1, width - _SIDE + 1)
        products = torch.bmm(_weights_at_points(weight), _at_points("input", x, outputs))
        return _transform("output", outputs, products, outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad
        if torch.is_grad_enabled() or not have_kernels_for(grad):
            mask = [needs_x, needs_weight, False]
            found = torch.ops.aten.convolution_backward(
                grad, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, mask
            )
            return found[0], found[1]
        products = _at_points("output_transposed", grad, grad)
        x_grad = weight_grad = None
        if needs_x:
            points = torch.bmm(_weights_at_points(weight).mT, products)
            x_grad = _transform(
                "input_transposed", torch.empty_like(x, memory_format=torch.contiguous_format), points, grad
            )
        if needs_weight:
            points = torch.bmm(products, _at_points("input", x, grad).mT)
            taps = torch.matmul(_evaluation().mT, points.flatten(1))  # (9, O * I)
            weight_grad = taps.mT.reshape(weight.shape)
        return x_grad, weight_grad


def _at_points(name: str, maps: Tensor, outputs: Tensor) -> Tensor:
    """Return the values of all tiles of ``maps``, ``(N, C, H, W)``, at the points, ``(36, C, N * tiles)``."""
    tiles = len(maps) * _tiles(outputs.shape[2]) * _tiles(outputs.shape[3])
    points = maps.new_empty((_TILE + _SIDE - 1) ** 2, maps.shape[1], tiles)
    _transform(name, maps.contiguous(), points, outputs)
    return points


def _transform(name: str, maps: Tensor, points: Tensor, outputs: Tensor) -> Tensor:
    """Call a function of winograd.c, for the tiles of ``outputs``, ``(N, O, H, W)``; return the maps."""
    call(f"winograd_{name}", maps, points, *maps.shape, _tiles(outputs.shape[2]), _tiles(outputs.shape[3]))
    return maps


def _weights_at_points(weight: Tensor) -> Tensor:
    """Return ``(36, O, I)``."""
    return torch.matmul(_evaluation(), weight.reshape(-1, _SIDE**2).mT).view(-1, *weight.shape[:2])


@cache
def _evaluation() -> Tensor:
    """Return the matrix that evaluates 3x3 weights at the 6x6 points, ``(36, 9)``."""
    near, far = sqrt(0.5), sqrt(2)
    scaled = [(0.0, 1.0), (near, -1.5), (-near, -1.5), (far, 6.0), (-far, 6.0)]
    rows = [[point**power / scale for power in range(_SIDE)] for point, scale in scaled]
    line = torch.tensor([*rows, [0.0, 0.0, 1.0]], dtype=torch.double)  # the last is the point at infinity
    return torch.kron(line, line).float()


def _tiles(side: int) -> int:
    return -(-side // _TILE)
