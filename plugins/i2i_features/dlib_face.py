"""dlib's face recognition network: 128 features of a face, and a reader of its file.

A ResNet of 29 convolutions (Davis King 2017, dlib's ``dnn_face_recognition_ex``; CC0). Every convolution is followed
by an affine map per channel, folded into it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from i2i import WeightsError

SIDE = 150
MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
STD = (256 / 255,) * 3
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Width, number of residual blocks, and whether the first of them halves its input."""


class DlibResNet(nn.Module):
    """The network; input normalised with ``MEAN`` and ``STD``."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, 32, 7, stride=2)
        self.blocks = nn.Sequential(*_blocks())
        self.exit = nn.Linear(256, 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised faces, ``(N, 3, 150, 150)``, to features, ``(N, 128)``; different people are 0.6 apart."""
        y = self.blocks(F.max_pool2d(F.relu(self.entry(x)), 3, 2))
        features: Tensor = self.exit(reduce(y, "n c h w -> n c", "mean"))
        return features


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2) if halves else nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        return F.relu(_add(F.avg_pool2d(x, 2) if self.halves else x, y))


def read_dlib(path: Path) -> dict[str, Tensor]:
    """Read ``dlib_face_recognition_resnet_model_v1.dat`` into the state dict of `DlibResNet`.

    The file lists the layers from input to output, each with its name and parameters: weights, then biases, of a
    convolution; factors, then offsets, of an affine map.

    Raises:
        WeightsError: The file is damaged, or holds another network.
    """
    with torch.device("meta"):
        network = DlibResNet()
    reader = _Reader(path)
    state: dict[str, Tensor] = {}
    for name, conv in _convolutions(network):
        weight, bias = reader.tensor("con_4", conv.weight.shape, (conv.out_channels,))
        factor, offset = reader.tensor("affine_", (conv.out_channels,), (conv.out_channels,))
        folded = weight * rearrange(factor, "o -> o 1 1 1")
        state |= {f"{name}.weight": folded, f"{name}.bias": bias * factor + offset}
    (weight,) = reader.tensor("fc_2", (256, 128), before=2)  # its outputs and inputs
    return state | {"exit.weight": weight.T.contiguous()}


class _Reader:
    """Reader of dlib's serialisation, layer by layer."""

    def __init__(self, path: Path) -> None:
        self._path, self._data, self._at = path, path.read_bytes(), 0

    def tensor(self, layer: str, *shapes: tuple[int, ...], before: int = 0) -> list[Tensor]:
        """Return the parameters of the next layer so named, split into ``shapes``; skip ``before`` numbers first."""
        start = self._data.find(bytes([1, len(layer)]) + layer.encode(), self._at)  # its length as one byte, its name
        if start < 0:
            raise self._refusal(f"a layer {layer} is missing")
        self._at = start + 2 + len(layer)
        version, *sides = [self._integer() for _ in range(before + 5)][before:]
        count, sizes = int(np.prod(sides)), [int(np.prod(shape)) for shape in shapes]
        if version != 2 or count != sum(sizes):
            raise self._refusal(f"a layer {layer} has {count} parameters, not {sum(sizes)}")
        values = self._floats(count)
        return [part.reshape(shape) for part, shape in zip(torch.split(values, sizes), shapes, strict=True)]

    def _integer(self) -> int:
        """Read a number: one byte with the count of bytes that follow, then those, least significant first."""
        size = self._take(1)[0]
        if size > 8:  # the highest bit is the sign, and no size is negative
            raise self._refusal("a number is no size")
        return int.from_bytes(self._take(size), "little")

    def _floats(self, count: int) -> Tensor:
        return torch.from_numpy(np.frombuffer(self._take(4 * count), "<f4").copy())

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise self._refusal("it ends too early")
        self._at += size
        return taken

    def _refusal(self, why: str) -> WeightsError:
        return WeightsError(f"{self._path} is not dlib's face recognition network: {why}. Get the file again.")


def _blocks() -> Iterator[_Block]:
    inputs = 32
    for outputs, count, halves in LEVELS:
        for number in range(count):
            yield _Block(inputs, outputs, halves and number == 0)
            inputs = outputs


def _convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def _add(x: Tensor, y: Tensor) -> Tensor:
    """Add maps of different widths and sizes, padding the smaller with zeros."""
    sides = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]
    return _pad(x, sides) + _pad(y, sides)


def _pad(x: Tensor, sides: list[int]) -> Tensor:
    missing = [side - length for side, length in zip(sides, x.shape[1:], strict=True)]
    if not any(missing):
        return x
    channels, rows, columns = missing
    return F.pad(x, (0, columns, 0, rows, 0, channels))
