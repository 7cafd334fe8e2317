"""FID's Inception: the network of Heusel et al. 2017 (arXiv 1706.08500), without which a score is not FID.

Inception v3 (Szegedy et al. 2015, arXiv 1512.00567) as TensorFlow published it on 2015-12-05. It uses
torchvision's names, but differs from torchvision's Inception v3 in its weights and in the pooling branches: averages
exclude padding, and the last block uses max pooling. Batch normalisation is folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

EPS = 1e-3
"""Epsilon of its batch normalisation."""
HALVES = 0
"""Special size: 3 x 3, stride 2, without padding."""

Size = int | tuple[int, int]
Stage = tuple[int, Size]
"""Channels and kernel size of a convolution."""
Branch = Sequence[Stage | tuple[Stage, Stage]]
"""Consecutive convolutions; a pair shares one input and ends the branch."""
Beside = Literal["mean", "maximum", "halving"]

_ROW, _COLUMN = (1, 7), (7, 1)
_FORK = ((384, (1, 3)), (384, (3, 1)))


class InceptionV3(nn.Module):
    """The network without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _convolution(3, 32, HALVES)
        self.Conv2d_2a_3x3 = nn.Conv2d(32, 32, 3)
        self.Conv2d_2b_3x3 = _convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = _convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = nn.Conv2d(80, 192, 3)
        for name, block in _blocks().items():
            self.add_module(name, block)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 3, 299, 299)`` in [-1, 1] to ``(N, 2048, 8, 8)``; the means of these maps are the features."""
        x = x.contiguous(memory_format=torch.channels_last)
        for convolution in (self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3):
            x = F.relu(convolution(x))
        x = F.max_pool2d(x, 3, 2)
        for convolution in (self.Conv2d_3b_1x1, self.Conv2d_4a_3x3):
            x = F.relu(convolution(x))
        x = F.max_pool2d(x, 3, 2)
        for block in self.children():
            x = block(x) if isinstance(block, _Block) else x
        return x


class _Block(nn.Module):
    """Parallel branches of convolutions, plus one pooling branch with or without a convolution."""

    def __init__(self, inputs: int, beside: Beside, pooled: int = 0, **branches: Branch) -> None:
        super().__init__()
        self.beside = beside
        self.branches = [self._add(name, inputs, stages) for name, stages in branches.items()]
        if pooled:
            self.branch_pool = _convolution(inputs, pooled, 1)

    def _add(self, name: str, inputs: int, stages: Branch) -> list[list[str]]:
        """Add the convolutions of a branch; return their names, grouped by shared input."""
        names = []
        for number, stage in enumerate(stages, 1):
            fork = stage if isinstance(stage[0], tuple) else (stage,)
            ends = ("a", "b") if len(fork) > 1 else ("",)
            names.append([name if len(stages) == 1 else f"{name}_{number}{end}" for end in ends])
            for each, (outputs, size) in zip(names[-1], fork, strict=True):
                self.add_module(each, _convolution(inputs, outputs, size))
            inputs = fork[0][0]
        return names

    def forward(self, x: Tensor) -> Tensor:
        outputs = [y for branch in self.branches for y in self._walk(branch, x)]
        return torch.cat([*outputs, self._pool(x)], 1)

    def _walk(self, branch: Sequence[Sequence[str]], x: Tensor) -> list[Tensor]:
        ends = [x]
        for names in branch:
            ends = [F.relu(self.get_submodule(name)(ends[0])) for name in names]
        return ends

    def _pool(self, x: Tensor) -> Tensor:
        if self.beside == "halving":
            return F.max_pool2d(x, 3, 2)
        if self.beside == "maximum":
            return F.relu(self.branch_pool(F.max_pool2d(x, 3, 1, padding=1)))
        return F.relu(self.branch_pool(F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)))


def _blocks() -> dict[str, _Block]:
    """Return the blocks from input to output."""
    return {
        "Mixed_5b": _block_a(192, 32),
        "Mixed_5c": _block_a(256, 64),
        "Mixed_5d": _block_a(288, 64),
        "Mixed_6a": _Block(288, "halving", branch3x3=[(384, HALVES)], branch3x3dbl=[(64, 1), (96, 3), (96, HALVES)]),
        "Mixed_6b": _block_c(128),
        "Mixed_6c": _block_c(160),
        "Mixed_6d": _block_c(160),
        "Mixed_6e": _block_c(192),
        "Mixed_7a": _Block(
            768,
            "halving",
            branch3x3=[(192, 1), (320, HALVES)],
            branch7x7x3=[(192, 1), (192, _ROW), (192, _COLUMN), (192, HALVES)],
        ),
        "Mixed_7b": _block_e(1280, "mean"),
        "Mixed_7c": _block_e(2048, "maximum"),
    }


def _block_a(inputs: int, pooled: int) -> _Block:
    return _Block(
        inputs,
        "mean",
        pooled,
        branch1x1=[(64, 1)],
        branch5x5=[(48, 1), (64, 5)],
        branch3x3dbl=[(64, 1), (96, 3), (96, 3)],
    )


def _block_c(width: int) -> _Block:
    return _Block(
        768,
        "mean",
        192,
        branch1x1=[(192, 1)],
        branch7x7=[(width, 1), (width, _ROW), (192, _COLUMN)],
        branch7x7dbl=[(width, 1), (width, _COLUMN), (width, _ROW), (width, _COLUMN), (192, _ROW)],
    )


def _block_e(inputs: int, beside: Beside) -> _Block:
    return _Block(
        inputs,
        beside,
        192,
        branch1x1=[(320, 1)],
        branch3x3=[(384, 1), _FORK],
        branch3x3dbl=[(448, 1), (384, 3), _FORK],
    )


def _convolution(inputs: int, outputs: int, size: Size) -> nn.Conv2d:
    """Return a convolution that keeps or halves the size of maps."""
    if size == HALVES:
        return nn.Conv2d(inputs, outputs, 3, stride=2)
    if isinstance(size, int):
        return nn.Conv2d(inputs, outputs, size, padding=size // 2)
    return nn.Conv2d(inputs, outputs, size, padding=(size[0] // 2, size[1] // 2))


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold batch normalisation into convolutions: ``x.conv.weight``, ``x.bn.*`` become ``x.weight``, ``x.bias``.

    The classifier and convolutions without normalisation are dropped.
    """
    whole = [
        key.removesuffix(".conv.weight")
        for key in state
        if key.endswith(".conv.weight") and all(f"{key.removesuffix('conv.weight')}bn.{part}" in state for part in _BN)
    ]
    return {key: tensor for name in whole for key, tensor in _fold(name, state).items()}


_BN = ("weight", "bias", "running_mean", "running_var")


def _fold(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weight, bias, mean, variance = (state[f"{name}.bn.{part}"].double() for part in _BN)
    factor = weight / (variance + EPS).sqrt()
    kernel = state[f"{name}.conv.weight"].double() * rearrange(factor, "o -> o 1 1 1")
    return {f"{name}.weight": kernel.float(), f"{name}.bias": (bias - mean * factor).float()}
