"""The hourglass blocks of photo2cartoon, which process features at five scales."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn import Conv2d, InstanceNorm, ReflectionPad2d

LEVELS = 4


class Hourglass(nn.Module):
    """Refine features with a pyramid, and with an image drawn from its output.

    Both are mapped by 1x1 convolutions and added to the input. The last hourglass of a generator returns the image
    instead. This is photo2cartoon's ``HourGlass``.

    Args:
        channels: Width; a multiple of 4.
        last: Return the image, ``(N, 3, H, W)``, instead of features.
    """

    samplewise = True

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
        """Map ``(N, C, H, W)``, H and W multiples of 16 from 32 on, to the same shape or to ``(N, 3, H, W)``."""
        y: Tensor = F.relu(self.norm(self.mix(self.refine(self.pyramid(x)))), inplace=True)
        drawn: Tensor = self.draw(y)
        return drawn if self.last else x + self.keep(y) + self.recall(drawn)

    def published_names(self) -> dict[str, str]:
        """Return the paths of this module's submodules and buffers, with those of photo2cartoon."""
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
    """Four halvings, then four doublings, each adding the map of its size from the way down; ``HourGlassBlock``."""

    samplewise = True

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
    """Three convolutions in series, with 1/2, 1/4 and 1/4 of the width, concatenated and added to the input.

    ``ConvBlock`` of photo2cartoon. The original saves a fourth one that it never calls. It is kept as a buffer,
    which no optimizer updates, so that files can be read and written completely.
    """

    samplewise = True
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
        InstanceNorm(), nn.ReLU(inplace=True), ReflectionPad2d(1), Conv2d(inputs, outputs, 3, bias=False)
    )
