"""The ResNet and U-Net generators and the PatchGAN discriminator of CycleGAN and pix2pix.

Sources: Zhu et al. 2017 (arXiv 1703.10593), section 4 and appendix; Isola et al. 2017 (arXiv 1611.07004), appendix.
Every convolution is biased, and instance normalisation has neither affine parameters nor running statistics.
"""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.discriminator import Discriminator, Verdict
from i2i.errors import ConfigError
from i2i.generator import Generator, Translation

LEAST_UNET_DEPTH = 4
PUBLISHED_PATCH_LAYERS = 3


class ResnetGenerator(Generator):
    """Two downsamplings, residual blocks, two upsamplings (Johnson et al. 2016, as in Zhu et al. 2017).

    The published networks have 6 blocks for 128 px and 9 from 256 px on. The trunk is, by default, the blocks alone.
    """

    name = "resnet"
    multiple_of = 4

    class Config(Generator.Config):
        """Options of the ResNet generator."""

        blocks: int = Field(9, ge=1, description="Residual blocks: 6 or 9 as published.")
        branch_depth: int = Field(3, ge=1, le=3, description="Outermost stages a side that a group may own.")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.channels
        self.down = nn.Sequential(
            _normed(nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect")),
            _normed(nn.Conv2d(width, 2 * width, 3, 2, 1)),
            _normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1)),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            _normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, output_padding=1)),
            _normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1)),
            nn.Sequential(nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh()),
        )
        self.branch_points = _outermost(config.branch_depth, stages=3)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        return Translation(self.up(self.blocks(self.down(x))))


class ResidualBlock(nn.Module):
    """Two reflection-padded convolutions around a skip connection, ``(N, C, h, w)`` to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.layers = nn.Sequential(*_normed(first), second, nn.InstanceNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of ``x`` to ``x``."""
        return x + cast(Tensor, self.layers(x))


class UnetGenerator(Generator):
    """An encoder-decoder with skip connections (Isola et al. 2017); 256 px give the published ``unet_256``.

    Raises:
        ConfigError: ``size`` cannot be halved ``depth`` times.
    """

    name = "unet"

    class Config(Generator.Config):
        """Options of the U-Net generator."""

        depth: int | None = Field(None, ge=2, description="Downsamplings; by default as many as the size allows.")
        branch_depth: int = Field(3, ge=1, description="Outermost stages a side that a group may own.")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        depth = _unet_depth(config.size, config.depth)
        widths = [config.channels * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList(_unet_down(level, widths) for level in range(depth))
        self.up = nn.ModuleList(_unet_up(level, widths) for level in reversed(range(depth)))
        self.multiple_of = 2**depth
        self.branch_points = _outermost(min(config.branch_depth, depth), stages=depth)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1].

        The published code activates in place, so that its skip connections carry LeakyReLU(x). The ReLU that reads
        them undoes the difference: ReLU(LeakyReLU(x)) = ReLU(x), in value and in gradient.
        """
        skips: list[Tensor] = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for stage in self.up[1:]:
            x = stage(torch.cat([skips.pop(), x], 1))
        return Translation(x)


class PatchDiscriminator(Discriminator):
    """The PatchGAN: with the published 3 layers each logit judges a patch of 70 x 70 pixels (Isola et al. 2017).

    Raises:
        ConfigError: ``layers`` leave no patch of an image of ``size``.
    """

    name = "patch"

    class Config(Discriminator.Config):
        """Options of the patch discriminator."""

        layers: int | None = Field(None, ge=1, description="Halving layers: the published 3, fewer below 64 px.")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        layers = _patch_layers(config.size) if config.layers is None else config.layers
        _check_patch(config.size, layers)
        if config.layers is None and layers < PUBLISHED_PATCH_LAYERS:
            self.note = f"At {config.size} px the patch discriminator has {layers} halving layers; published are 3."
        widths = [config.channels * min(2**layer, 8) for layer in range(layers + 1)]
        self.stages = nn.Sequential(*(_patch_stage(layer, widths) for layer in range(layers + 1)))
        self.head = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.feature_channels = (widths[-1],)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1]: logits ``(N, 1, H/8 - 2, W/8 - 2)`` with 3 layers."""
        features = self.stages(x)
        return Verdict(logits=[self.head(features)], features=[features])


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        nn.init.zeros_(cast(Tensor, layer.bias))


def _normed(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU(inplace=True))


def _outermost(count: int, stages: int) -> tuple[str, ...]:
    down = [f"down.{stage}" for stage in range(count)]
    return (*down, *(f"up.{stage}" for stage in range(stages - count, stages)))


def _unet_down(level: int, widths: list[int]) -> nn.Sequential:
    if level == 0:
        return nn.Sequential(nn.Conv2d(3, widths[0], 4, 2, 1))
    stage = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1))
    innermost = level == len(widths) - 1
    return stage if innermost else stage.append(nn.InstanceNorm2d(widths[level]))


def _unet_up(level: int, widths: list[int]) -> nn.Sequential:
    innermost = level == len(widths) - 1
    inputs = widths[level] if innermost else 2 * widths[level]  # the other half is the skip connection
    outputs = widths[level - 1] if level else 3
    after = nn.InstanceNorm2d(outputs) if level else nn.Tanh()
    return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), after)


def _unet_depth(size: int, asked: int | None) -> int:
    halvings = (size & -size).bit_length() - 1
    depth = asked or max(halvings, LEAST_UNET_DEPTH)
    if halvings >= depth:
        return depth
    nearest = max(1, round(size / 2**depth)) * 2**depth
    raise ConfigError(
        f"The generator 'unet' halves its input {depth} times, but size {size} is not a multiple of {2**depth}. "
        f"Use size {nearest}{f', depth {halvings}' if halvings > 1 else ''} or the generator 'resnet'."
    )


def _patch_layers(size: int) -> int:
    """Keep at least 6 x 6 patches, which is what 3 layers leave of 64 px."""
    return min(PUBLISHED_PATCH_LAYERS, max(1, size.bit_length() - 4))


def _check_patch(size: int, layers: int) -> None:
    if size >> layers < 3:  # two unstrided convolutions follow, each takes one pixel; a norm needs more than one
        raise ConfigError(
            f"The discriminator 'patch' with {layers} layers leaves nothing of {size} px. "
            f"Use at most {max(0, (size // 3).bit_length() - 1)} layers or a size of at least {3 * 2**layers}."
        )


def _patch_stage(layer: int, widths: list[int]) -> nn.Sequential:
    stride = 1 if layer == len(widths) - 1 else 2
    conv = nn.Conv2d(widths[layer - 1] if layer else 3, widths[layer], 4, stride, 1)
    norm = [nn.InstanceNorm2d(widths[layer])] if layer else []
    return nn.Sequential(conv, *norm, nn.LeakyReLU(0.2, inplace=True))
