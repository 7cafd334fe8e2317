"""Building blocks that several networks share."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from i2i.nn.convolutions import Conv2d, DoublingConv2d, Upsampling
from i2i.nn.norms import InstanceNorm, LayerInstanceNorm
from i2i.nn.padding import ReflectionPad2d


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions without bias, with instance norms and a skip; keeps ``(N, C, H, W)``."""

    samplewise = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReflectionPad2d(1), Conv2d(channels, channels, 3, bias=False), InstanceNorm(), nn.ReLU(inplace=True),
            ReflectionPad2d(1), Conv2d(channels, channels, 3, bias=False), InstanceNorm(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to ``x``."""
        y: Tensor = self.body(x)
        return x + y


def entry_stage(channels: int) -> nn.Sequential:
    """Map an image, ``(N, 3, H, W)``, to ``(N, channels, H, W)`` with a 7x7 convolution, instance norm and ReLU."""
    return nn.Sequential(ReflectionPad2d(3), Conv2d(3, channels, 7, bias=False), InstanceNorm(), nn.ReLU(inplace=True))


def halving_stage(channels: int) -> nn.Sequential:
    """Map ``(N, channels, H, W)`` to ``(N, 2 * channels, H / 2, W / 2)`` by a convolution, instance norm and ReLU."""
    return nn.Sequential(
        ReflectionPad2d(1), nn.Conv2d(channels, 2 * channels, 3, stride=2, bias=False),
        InstanceNorm(), nn.ReLU(inplace=True),
    )  # fmt: skip


def doubling_stage(channels: int, upsampling: Upsampling = "nearest") -> nn.Sequential:
    """Map ``(N, channels, H, W)`` to ``(N, channels / 2, 2 * H, 2 * W)`` by `DoublingConv2d`, ILN and ReLU."""
    return nn.Sequential(
        DoublingConv2d(channels, channels // 2, upsampling=upsampling),
        LayerInstanceNorm(channels // 2, 0.0, affine=True),
        nn.ReLU(inplace=True),
    )


def outermost_stages(depth: int, stages: int) -> tuple[str, ...]:
    """Return the branch points of a generator whose encoder ``down`` and decoder ``up`` have equally many stages.

    Args:
        depth: Stages on either side that belong to a branch, at most all.
        stages: Stages on either side.
    """
    depth = min(depth, stages)
    return (*(f"down.{stage}" for stage in range(depth)), *(f"up.{stage}" for stage in range(stages - depth, stages)))


def each_stage(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """Return the outputs of all stages, applied in sequence."""
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps
