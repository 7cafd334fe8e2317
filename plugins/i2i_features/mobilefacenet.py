"""MobileFaceNet: 512 features of a face (Chen et al. 2018, arXiv 1804.07573), as photo2cartoon uses it.

Widths, strides and names of parameters are those of its ``model_mobilefacenet.pth``.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

SIDE = 112
MEAN = STD = (0.5, 0.5, 0.5)


class MobileFaceNetModule(nn.Module):
    """The network; input in [-1, 1], output of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Conv(3, 64, 3, stride=2)
        self.conv2_dw = _Conv(64, 64, 3, groups=64)
        self.conv_23 = _Bottleneck(64, 128, 64, stride=2)
        self.conv_3 = _Stage(64, 128, 4)
        self.conv_34 = _Bottleneck(64, 256, 128, stride=2)
        self.conv_4 = _Stage(128, 256, 6)
        self.conv_45 = _Bottleneck(128, 512, 128, stride=2)
        self.conv_5 = _Stage(128, 256, 2)
        self.conv_6_sep = _Conv(128, 512, 1)
        self.conv_6_dw = _Conv(512, 512, 7, padding=0, groups=512, linear=True)
        self.linear = nn.Linear(512, 512, bias=False)
        self.bn = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces, ``(N, 3, 112, 112)`` in [-1, 1], to features of length 1, ``(N, 512)``."""
        x = self.conv_3(self.conv_23(self.conv2_dw(self.conv1(x))))
        x = self.conv_5(self.conv_45(self.conv_4(self.conv_34(x))))
        x = rearrange(self.conv_6_dw(self.conv_6_sep(x)), "n c 1 1 -> n c")
        return F.normalize(self.bn(self.linear(x)))


class _Conv(nn.Module):
    """Convolution, batch normalisation and, unless linear, a parametric ReLU."""

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int | None = None, groups: int = 1,
        linear: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        pad = side // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, side, stride, pad, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = None if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y if self.prelu is None else self.prelu(y)


class _Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow; with the input added where ``residual``."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int = 1, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.conv = _Conv(inputs, width, 1)
        self.conv_dw = _Conv(width, width, 3, stride, groups=width)
        self.project = _Conv(width, outputs, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class _Stage(nn.Module):
    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(_Bottleneck(channels, width, channels, residual=True) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y
