"""The ResNet and U-Net generators of CycleGAN and pix2pix.

Sources: Zhu et al. 2017 (arXiv 1703.10593), section 4 and appendix; Isola et al. 2017 (arXiv 1611.07004), appendix.
Every convolution is biased, and instance normalisation has neither affine parameters nor running statistics.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Generator, Translation
from i2i.nn import (
    DoublingConv2d,
    ImageConv2d,
    InstanceNorm,
    ReflectionConv2d,
    Upsampling,
    each_stage,
    outermost_stages,
)

MIN_UNET_DEPTH = 4


class ResnetGenerator(Generator):
    """Two downsamplings, residual blocks, two upsamplings (Johnson et al. 2016, as in Zhu et al. 2017).

    The published networks have 6 blocks at 128 px and 9 from 256 px. By default the trunk is only the residual blocks.
    """

    name = "resnet"
    samplewise = True
    provides = frozenset({"encoded"})
    published_with = {"upsampling": "transposed"}
    multiple_of = 4

    class Config(Generator.Config):
        """Options of the ResNet generator."""

        blocks: int = Field(9, ge=1, description="Residual blocks: 6 or 9 as published.")
        branch_depth: int = Field(3, ge=1, le=3, description="Stages on either side that belong to a branch.")
        upsampling: Literal["transposed", Upsampling] = Field(
            "transposed",
            description="How maps are enlarged: transposed convolutions, as published, can leave a checkerboard; "
            "bilinear does not.",
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.channels
        self.encoded_channels = (width, 2 * width, 4 * width, 4 * width, 4 * width)
        self.down = nn.Sequential(
            _normed(ReflectionConv2d(3, width, 7)),
            _normed(nn.Conv2d(width, 2 * width, 3, 2, 1)),
            _normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1)),
        )
        self.blocks = nn.Sequential(*(BiasedResidualBlock(4 * width) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            _normed(_doubling(4 * width, config.upsampling)),
            _normed(_doubling(2 * width, config.upsampling)),
            nn.Sequential(ImageConv2d(width, 3, bias=True), nn.Tanh()),
        )
        self.branch_points = outermost_stages(config.branch_depth, 3)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        encoded = self.encode(x)
        return Translation(self.up(encoded[-1]), encoded=encoded)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each down-sampling stage, halfway through the residual blocks, and after them."""
        down = each_stage(self.down, x)
        within = each_stage(self.blocks, down[-1])
        return [*down, within[len(within) // 2], within[-1]]

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of pytorch-CycleGAN-and-pix2pix."""
        return parameter_keys(_resnet_names(len(self.blocks)))


class BiasedResidualBlock(nn.Module):
    """Two reflection-padded convolutions around a skip connection, ``(N, C, h, w)`` to the same shape."""

    samplewise = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (ReflectionConv2d(channels, channels, 3) for _ in range(2))
        self.layers = nn.Sequential(*_normed(first), second, InstanceNorm())

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to ``x``."""
        return x + cast(Tensor, self.layers(x))


class UnetGenerator(Generator):
    """An encoder-decoder with skip connections (Isola et al. 2017); at 256 px, the published ``unet_256``.

    Raises:
        ConfigError: ``size`` cannot be halved ``depth`` times.
    """

    name = "unet"
    samplewise = True
    provides = frozenset({"encoded"})

    class Config(Generator.Config):
        """Options of the U-Net generator."""

        depth: int | None = Field(
            None, ge=2, le=32, description="Downsamplings; by default as many as the size allows."
        )
        branch_depth: int = Field(3, ge=1, description="Stages on either side that belong to a branch.")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        depth = _unet_depth(config.size, config.depth)
        widths = [config.channels * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList(_unet_down(level, widths) for level in range(depth))
        self.up = nn.ModuleList(_unet_up(level, widths) for level in reversed(range(depth)))
        self.multiple_of = 2**depth
        self.encoded_channels = tuple(widths)
        self.branch_points = outermost_stages(config.branch_depth, depth)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1].

        The published code activates in place, so its skip connections carry LeakyReLU(x). The ReLU that follows makes
        this equivalent: ReLU(LeakyReLU(x)) = ReLU(x), in value and gradient.
        """
        encoded = self.encode(x)
        *skips, x = encoded
        x = self.up[0](x)
        for stage in self.up[1:]:
            x = stage(torch.cat([skips.pop(), x], 1))
        return Translation(x, encoded=encoded)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the map after each halving."""
        return each_stage(self.down, x)

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of pytorch-CycleGAN-and-pix2pix."""
        return parameter_keys(_unet_names(len(self.down)))


def parameter_keys(convolutions: dict[str, str]) -> dict[str, str]:
    """Expand our names and the published names of biased convolutions to those of their parameters."""
    return {f"{ours}.{p}": f"{theirs}.{p}" for ours, theirs in convolutions.items() for p in ("weight", "bias")}


def initialise(layer: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and zero biases, as published; for ``Module.apply``."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        nn.init.zeros_(cast(Tensor, layer.bias))


def _normed(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(conv, InstanceNorm(), nn.ReLU(inplace=True))


def _doubling(width: int, upsampling: Literal["transposed", Upsampling]) -> nn.Conv2d | nn.ConvTranspose2d:
    if upsampling == "transposed":
        return nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1)
    return DoublingConv2d(width, width // 2, bias=True, upsampling=upsampling)


def _unet_down(level: int, widths: list[int]) -> nn.Sequential:
    if level == 0:
        return nn.Sequential(nn.Conv2d(3, widths[0], 4, 2, 1))
    stage = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1))
    innermost = level == len(widths) - 1
    return stage if innermost else stage.append(InstanceNorm())


def _unet_up(level: int, widths: list[int]) -> nn.Sequential:
    innermost = level == len(widths) - 1
    inputs = widths[level] if innermost else 2 * widths[level]  # the other half is the skip connection
    outputs = widths[level - 1] if level else 3
    after = InstanceNorm() if level else nn.Tanh()
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), after)


def _unet_depth(size: int, asked: int | None) -> int:
    halvings = (size & -size).bit_length() - 1
    depth = asked or max(halvings, MIN_UNET_DEPTH)
    if halvings >= depth:
        return depth
    nearest = max(1, round(size / 2**depth)) * 2**depth
    raise ConfigError(
        f"The generator 'unet' halves its input {depth} times, but size {size} is not a multiple of {2**depth}. "
        f"Use size {nearest}{f', depth {halvings}' if halvings > 1 else ''} or the generator 'resnet'."
    )


def _resnet_names(blocks: int) -> dict[str, str]:
    """Return our names and the published ones, for a ResNet generator with ``blocks`` residual blocks."""
    end = 10 + blocks
    return {
        **{f"down.{i}.0": f"model.{1 + 3 * i}" for i in range(3)},
        **{f"blocks.{i}.layers.0": f"model.{10 + i}.conv_block.1" for i in range(blocks)},
        **{f"blocks.{i}.layers.3": f"model.{10 + i}.conv_block.5" for i in range(blocks)},
        **{f"up.{i}.0": f"model.{end + offset}" for i, offset in enumerate((0, 3, 7))},
    }


def _unet_names(depth: int) -> dict[str, str]:
    """Return our names and the published, nested ones, for a U-Net with ``depth`` downsamplings."""
    names: dict[str, str] = {}
    prefix = "model.model"
    for level in range(depth):
        outer, inner = level == 0, level == depth - 1
        names[f"down.{level}.{0 if outer else 1}"] = f"{prefix}.{0 if outer else 1}"
        names[f"up.{depth - 1 - level}.1"] = f"{prefix}.{3 if outer or inner else 5}"
        prefix += f".{1 if outer else 3}.model"
    return names
