"""Layers of several groups computed jointly, each on its equal share of a batch.

A layer that can do this has a class method ``jointly(layers, *inputs)``, where the samples of the inputs are in the
order of the layers. Its ``forward`` is the case of a single layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from i2i.nn.thin import convolve_thin, suits_thin
from i2i.nn.winograd import convolve_by_winograd, suits_winograd

_LEAST_INPUTS, _LARGEST_KERNEL = 4, 4
_MOST_WORK = 5e7  # weights per group times pixels
_LEAST_WEIGHTS, _MOST_POSITIONS = 2**18, 64


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors along a new first dimension; a single one is not copied."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))


def per_sample(values: Tensor, samples: int) -> Tensor:
    """Repeat one row per layer, ``(G, C)``, to one per sample, ``(N, C)``."""
    return repeat(values, "g c -> (g n) c", n=samples // len(values))


def convolve(
    x: Tensor,
    weights: Tensor,
    biases: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | str | tuple[int, ...] = 0,
) -> Tensor:
    """Convolve each of G equal shares of a batch with weights of its own.

    Args:
        x: ``(N, I, H, W)``.
        weights: ``(G, O, I, h, w)``.
        biases: ``(G, O)``.
        stride: As in torch.
        padding: As in torch.

    Returns:
        ``(N, O, H', W')``.
    """
    groups = len(weights)
    products = padding in (0, (0, 0)) and _suits_products(x, weights, stride)
    one = _multiply_one if products else _convolve_one
    if groups == 1:  # squeezed, for the gradients of what ``unbind`` and ``chunk`` return are copied
        return one(x, weights.squeeze(0), None if biases is None else biases.squeeze(0), stride, padding)
    if products or not _suits_grouping(x, weights):
        each = [None] * groups if biases is None else biases.unbind()
        shares = zip(x.chunk(groups), weights.unbind(), each, strict=True)
        return torch.cat([one(*share, stride, padding) for share in shares])
    abreast = rearrange(x, "(g n) c h w -> n (g c) h w", g=groups)
    bias = None if biases is None else biases.flatten()
    y = F.conv2d(abreast, weights.flatten(0, 1), bias, stride, padding, groups=groups)
    return rearrange(y, "n (g c) h w -> (g n) c h w", g=groups)


def _convolve_one(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int | tuple[int, ...], padding: int | str | tuple[int, ...]
) -> Tensor:
    step = _pair(stride)[0]
    if padding in (0, (0, 0)) and _pair(stride) == (step, step) and suits_thin(x, weight, step):
        y = convolve_thin(x, weight, step)
    elif _pair(stride) == (1, 1) and not isinstance(padding, str) and suits_winograd(x, weight):
        down, right = _pair(padding)
        y = convolve_by_winograd(F.pad(x, (right, right, down, down)) if down or right else x, weight)
    else:
        return F.conv2d(x, weight, bias, stride, padding)
    return y if bias is None else y + bias[:, None, None]


def _multiply_one(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int | tuple[int, ...], _: object) -> Tensor:
    """Convolve by a matrix product with a row per position; with columns it would take three to five times longer."""
    (high, wide), (down, right) = weight.shape[2:], _pair(stride)
    windows = x.unfold(2, high, down).unfold(3, wide, right)
    rows = rearrange(windows, "n i h w high wide -> (n h w) (i high wide)")
    y = F.linear(rows, weight.flatten(1), bias)
    return rearrange(y, "(n h w) o -> n o h w", n=len(x), h=windows.shape[2])


def _suits_grouping(x: Tensor, weights: Tensor) -> bool:
    """Return whether one grouped convolution takes less time than one per group, as measured on a CPU."""
    work = weights[0].numel() * x[0, 0].numel()
    return weights.shape[2] >= _LEAST_INPUTS and weights.shape[-1] <= _LARGEST_KERNEL and work <= _MOST_WORK


def _suits_products(x: Tensor, weights: Tensor, stride: int | tuple[int, ...]) -> bool:
    """Return whether matrix products are faster: for far more weights than positions, as measured on a CPU.

    Convolutions rearrange all weights in memory before they use them, at a cost of several products then.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or weights[0].numel() < _LEAST_WEIGHTS:
        return False
    positions = len(x) // len(weights)
    for side, kernel, step in zip(x.shape[2:], weights.shape[3:], _pair(stride), strict=True):
        positions *= (side - kernel) // step + 1
    return 0 < positions <= _MOST_POSITIONS


def convolve_by(layers: Sequence[nn.Conv2d], x: Tensor) -> Tensor:
    """Apply torch's convolutions, without groups or dilation, to equal shares of ``x``, ``(N, I, H, W)``."""
    return convolve_like(layers[0], x, stack([layer.weight for layer in layers]), biases(layers))


def convolve_like(layer: nn.Conv2d, x: Tensor, weights: Tensor, biases: Tensor | None = None) -> Tensor:
    """Convolve equal shares of ``x``, ``(N, I, H, W)``, with the stride and padding of ``layer``, but other weights.

    Args:
        layer: A convolution of torch without groups or dilation.
        x: ``(N, I, H, W)``.
        weights: ``(G, O, I, h, w)``.
        biases: ``(G, O)``.
    """
    if layer.padding_mode == "zeros":
        return convolve(x, weights, biases, layer.stride, layer.padding)
    padded = F.pad(x, layer._reversed_padding_repeated_twice, layer.padding_mode)
    return convolve(padded, weights, biases, layer.stride)


def map_by(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    """Apply torch's linear layers to equal shares of ``x``, ``(N, I)``."""
    return map_linearly(x, stack([layer.weight for layer in layers]), biases(layers))


def map_linearly(x: Tensor, weights: Tensor, biases: Tensor | None = None) -> Tensor:
    """Multiply each of G equal shares of ``x``, ``(N, I)``, by its ``weights``, ``(G, O, I)``; add ``(G, O)``."""
    if len(weights) == 1:
        return F.linear(x, weights[0], None if biases is None else biases[0])
    y = torch.bmm(rearrange(x, "(g n) i -> g n i", g=len(weights)), weights.mT).flatten(0, 1)
    return y if biases is None else y + per_sample(biases, len(x))


def biases(layers: Sequence[nn.Conv2d] | Sequence[nn.Linear]) -> Tensor | None:
    """Return the layers' biases, ``(G, O)``, if they have them."""
    each = [layer.bias for layer in layers if layer.bias is not None]
    return stack(each) if each else None
