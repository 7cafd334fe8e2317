"""U-GAT-IT's networks (Kim et al. 2020, arXiv 1907.10830, sections 2.1 and A)."""

from __future__ import annotations

import math

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from i2i.discriminator import Discriminator, Verdict
from i2i.errors import ConfigError
from i2i.generator import Generator, Translation
from i2i.nn import CamAttention, DoublingConv2d, ImageConv2d, LayerInstanceNorm, SpectralConv2d


class AttentionGenerator(Generator):
    """Encoder, class-activation attention, and a decoder whose normalisation is steered by the attended features.

    The outermost ``branch_depth`` stages on either side are branch points: with 3, the 7x7 convolution and both
    down-samplings of the encoder, and everything after the residual blocks of the decoder.
    """

    name = "ugatit"
    provides = frozenset({"cam"})
    multiple_of = 4

    class Config(Generator.Config):
        """Options of the U-GAT-IT generator."""

        blocks: int = Field(4, ge=1, description="Residual blocks in the encoder and in the decoder.")
        light: bool = Field(True, description="Steer by pooled features; off: by all of them, at a fixed image size.")
        branch_depth: int = Field(3, ge=1, le=3, description="Stages on either side that belong to a branch.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        c = config.channels
        self.fixed_size = not config.light
        self.branch_points = tuple(
            f"{side}.{i if side == 'down' else 2 - i}" for side in ("down", "up") for i in range(config.branch_depth)
        )
        self.down = nn.Sequential(_entry(c), _halve(c), _halve(2 * c))
        self.blocks = nn.Sequential(*(_ResidualBlock(4 * c) for _ in range(config.blocks)))
        self.attention = CamAttention(4 * c)
        self.style = _Style(4 * c, 1 if config.light else (config.size // 4) ** 2)
        self.decode = nn.ModuleList(_SteeredBlock(4 * c) for _ in range(config.blocks))
        self.up = nn.Sequential(_double(4 * c), _double(2 * c), _exit(c))

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]; H and W divide by 4."""
        x, cam_logits = self.attention(self.blocks(self.down(x)))
        heatmap = x.sum(1, keepdim=True)
        gamma, beta = self.style(x)
        for block in self.decode:
            x = block(x, gamma, beta)
        return Translation(self.up(x), cam_logits, heatmap)


class AttentionDiscriminator(Discriminator):
    """Two patch discriminators with class-activation attention: a deep one that sees globally, a shallow local one."""

    name = "ugatit"
    branch_points = ("parts.*",)

    class Config(Discriminator.Config):
        """Options of the U-GAT-IT discriminators."""

        global_layers: int | None = Field(None, ge=3, description="Depth of the global one; 7 as published if it fits.")
        local_layers: int | None = Field(None, ge=3, description="Depth of the local one; 5 as published if it fits.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        deep, shallow = self._depths(config)
        self.parts = nn.ModuleDict(
            {
                "global": _AttentionJudge(config.channels, deep),
                "local": _AttentionJudge(config.channels, shallow),
            }
        )
        self.feature_channels = tuple(config.channels * 2 ** (layers - 2) for layers in (deep, shallow))

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1], globally and locally."""
        logits, cam_logits, features = zip(*(part(x) for part in self.parts.values()), strict=True)
        return Verdict(list(logits), list(cam_logits), list(features))

    def _depths(self, config: Config) -> tuple[int, int]:
        deep, shallow = (7, 5) if config.size >= 128 else _depths_that_fit(config.size)
        if config.size < 128 and (config.global_layers is None or config.local_layers is None):
            self.note = f"Discriminators of {deep} and {shallow} layers: the published 7 and 5 need 128 px or more."
        depths = config.global_layers or deep, config.local_layers or shallow
        if config.size // 2 ** (max(depths) - 2) < 4:
            raise ConfigError(
                f"A U-GAT-IT discriminator of {max(depths)} layers needs images of {4 * 2 ** (max(depths) - 2)} px "
                f"or more, not {config.size}. Lower --discriminator.global_layers or raise --size."
            )
        return depths


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y


class _Style(nn.Module):
    """Features to the gamma and beta of every steered normalisation, each ``(N, C)``."""

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__()
        self.pooled = pixels == 1
        self.mlp = nn.Sequential(
            nn.Linear(channels * pixels, channels, bias=False), nn.ReLU(),
            nn.Linear(channels, channels, bias=False), nn.ReLU(),
        )  # fmt: skip
        self.gamma, self.beta = nn.Linear(channels, channels, bias=False), nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.mlp(x.mean((2, 3)) if self.pooled else x.flatten(1))
        return self.gamma(code), self.beta(code)


class _SteeredBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, bias=False) for _ in range(2))
        self.norm1, self.norm2 = (LayerInstanceNorm(channels, 0.9, own=False) for _ in range(2))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta))
        y = self.norm2(self.conv2(self.pad(y)), gamma, beta)
        return x + y


class _AttentionJudge(nn.Module):
    """One patch discriminator: features, attention, patch logits."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [3, *(channels * 2**i for i in range(layers - 1))]
        strides = [2] * (layers - 2) + [1]
        stages = zip(widths[:-1], widths[1:], strides, strict=True)
        self.model = nn.Sequential(*(_judge_stage(*stage) for stage in stages))
        self.attention = CamAttention(widths[-1], spectral=True, slope=0.2)
        self.last = nn.Sequential(nn.ReflectionPad2d(1), SpectralConv2d(widths[-1], 1, 4, bias=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features, cam_logits = self.attention(self.model(x))
        return self.last(features), cam_logits, features


def _entry(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, channels, 7, bias=False), nn.InstanceNorm2d(channels), nn.ReLU()
    )


def _halve(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(channels, 2 * channels, 3, stride=2, bias=False),
        nn.InstanceNorm2d(2 * channels), nn.ReLU(),
    )  # fmt: skip


def _double(channels: int) -> nn.Sequential:
    return nn.Sequential(
        DoublingConv2d(channels, channels // 2), LayerInstanceNorm(channels // 2, 0.0, own=True), nn.ReLU()
    )


def _exit(channels: int) -> nn.Sequential:
    return nn.Sequential(ImageConv2d(channels, 3), nn.Tanh())


def _judge_stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(1), SpectralConv2d(inputs, outputs, 4, stride), nn.LeakyReLU(0.2))


def _depths_that_fit(size: int) -> tuple[int, int]:
    deep = max(4, int(math.log2(size)) - 1)
    return deep, deep - 1
