"""The hourglass blocks of photo2cartoon, which look at features on five scales."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn import InstanceNorm

LEVELS = 4


class Hourglass(nn.Module):
    """Refine features by a pyramid, and by the three-channel image that they already show.

    The features of the pyramid, mapped by one 1x1 convolution, and the image, mapped by another, are added to the
    input; or, as the last hourglass of a generator, the image itself is returned. Photo2cartoon's ``HourGlass``.

    Args:
        channels: Width; a multiple of 4.
        last: Return the image, ``(N, 3, H, W)``, not features.
    """

    def __init__(self, channels: int, last: bool = False) -> None:
        super().__init__()
        self.pyramid = _Pyramid(channels)
        self.refine = _CascadeBlock(channels)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = InstanceNorm()
        self.draw = nn.Conv2d(channels, 3, 1)
        self.last = last
        if not last:
            self.keep, self.recall = nn.Conv2d(channels, channels, 1), nn.Conv2d(3, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)``, H and W divisible by 16 and larger, to the same shape or to ``(N, 3, H, W)``."""
        y: Tensor = F.relu(self.norm(self.mix(self.refine(self.pyramid(x)))), inplace=True)
        drawn: Tensor = self.draw(y)
        return drawn if self.last else x + self.keep(y) + self.recall(drawn)

    def published_names(self) -> dict[str, str]:
        """Return the paths of our modules and buffers below this one, and those of photo2cartoon."""
        names = {"refine": "HG.1", "mix": "HG.2", "draw": "Conv1", "keep": "Conv2", "recall": "Conv3"}
        blocks = {"refine": "HG.1", "pyramid.centre": "HG.0.ConvBlock5"}
        for i in range(LEVELS):
            blocks |= {f"pyramid.{side}.{i}": f"HG.0.ConvBlock{i + 1}_{n}" for n, side in ((1, "skips"), (2, "downs"))}
            blocks[f"pyramid.ups.{i}"] = f"HG.0.ConvBlock{6 + i}"
        for ours, theirs in blocks.items():
            names |= {f"{ours}.stages.{j}.3": f"{theirs}.ConvBlock{j + 1}.3" for j in range(3)}
            names[f"{ours}.unused"] = f"{theirs}.ConvBlock4.2.weight"
        return names


class _Pyramid(nn.Module):
    """Halve four times, double four times, and add the maps from the way down; ``HourGlassBlock``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.skips, self.downs, self.ups = (
            nn.ModuleList(_CascadeBlock(channels) for _ in range(LEVELS)) for _ in range(3)
        )
        self.centre = _CascadeBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        skipped = []
        for skip, down in zip(self.skips, self.downs, strict=True):
            skipped.append(skip(x))
            x = down(F.avg_pool2d(x, 2))
        x = self.centre(x)
        for up, skip in zip(self.ups, reversed(skipped), strict=True):
            x = F.interpolate(up(x), scale_factor=2) + skip
        return x


class _CascadeBlock(nn.Module):
    """Three convolutions in series, of a half, a quarter and a quarter of the width, joined and added to the input.

    ``ConvBlock`` of photo2cartoon. The original has a fourth one that it never calls but saves; it is carried as a
    buffer, which no optimizer sees, so that its files can be read and written whole.
    """

    unused: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = channels, channels // 2, channels // 4, channels // 4
        self.stages = nn.ModuleList(_stage(i, o) for i, o in pairwise(widths))
        self.register_buffer("unused", torch.zeros(channels, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for stage in self.stages:
            parts.append(stage(parts[-1]))
        return x + torch.cat(parts[1:], 1)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        InstanceNorm(), nn.ReLU(inplace=True), nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3, bias=False)
    )
