"""The generator of photo2cartoon, on which Zhuang & Yang (arXiv 2007.13332) build."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Generator, Translation
from i2i.nn import (
    CamAttention,
    Conv2d,
    ImageConv2d,
    LayerInstanceNorm,
    ReflectionPad2d,
    ResidualBlock,
    channel_means,
    doubling_stage,
    each_stage,
    entry_stage,
    halving_stage,
    outermost_stages,
)
from i2i_photo2cartoon.hourglass import Hourglass

BLOCKS = 4


class HourglassGenerator(Generator):
    """U-GAT-IT's generator between hourglasses, with normalisation that depends on style and content.

    The outermost ``branch_depth`` stages on either side are branch points: with 2, as released, the first 7x7
    convolution and hourglass, and the last hourglass and 7x7 convolution.
    """

    name = "photo2cartoon"
    samplewise = True
    provides = frozenset({"cam", "encoded"})
    cam_points = ("attention.heads",)
    multiple_of = 16

    class Config(Generator.Config):
        """Options of the photo2cartoon generator."""

        channels: int = Field(32, gt=0, multiple_of=4, description="Width of the first layer, a multiple of 4.")
        light: bool = Field(
            True, description="Decode from pooled features; off: from all of them, at a fixed image size."
        )
        branch_depth: int = Field(2, ge=1, le=5, description="Stages on either side that belong to a branch.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.size < 32:
            raise ConfigError(f"The generator 'photo2cartoon' needs images of 32 px or more, not {config.size}.")
        c = config.channels
        self.fixed_size = not config.light
        self.encoded_channels = (c, c, c, 2 * c, 4 * c, 4 * c, 4 * c)
        self.branch_points = outermost_stages(config.branch_depth, 5)
        self.down = nn.Sequential(entry_stage(c), Hourglass(c), Hourglass(c), halving_stage(c), halving_stage(2 * c))
        self.blocks = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(BLOCKS)))
        self.attention = CamAttention(4 * c, bias=True)
        self.style = _mlp(4 * c * (1 if config.light else (config.size // 4) ** 2), 4 * c)
        self.decode = nn.ModuleList(_SteeredBlock(4 * c) for _ in range(BLOCKS))
        self.up = nn.Sequential(
            doubling_stage(4 * c), doubling_stage(2 * c), Hourglass(c), Hourglass(c, last=True), _exit()
        )

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]; H and W are multiples of 16."""
        maps, within = self._encode(x)
        x, cam_logits = self.attention(within[-1])
        heatmap = reduce(x, "n c h w -> n 1 h w", "sum")
        style = F.relu(self.style(channel_means(x) if self.config.light else rearrange(x, "n c h w -> n (c h w)")))
        for block, content in zip(self.decode, reversed(within), strict=True):
            x = block(x, channel_means(content), style)
        return Translation(self.up(x), cam_logits, heatmap, encoded=[*maps, within[1], within[-1]])

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each encoder stage, halfway through the residual blocks, and after them."""
        maps, within = self._encode(x)
        return [*maps, within[1], within[-1]]

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of photo2cartoon, of a generator without branches."""
        names = _published_names() | self._published_hourglasses()
        keys = {key: key.rpartition(".") for key in self.state_dict()}
        return {key: names.get(key) or f"{names[module]}.{leaf}" for key, (module, _, leaf) in keys.items()}

    def _encode(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        maps = each_stage(self.down, x)
        return maps, each_stage(self.blocks, maps[-1])

    def _published_hourglasses(self) -> dict[str, str]:
        return {
            f"{place}.{ours}": f"HourGlass{number}.{theirs}"
            for number, place in enumerate(("down.1", "down.2", "up.2", "up.3"), start=1)
            for ours, theirs in cast(Hourglass, self.get_submodule(place)).published_names().items()
        }


class SoftNorm(nn.Module):
    """Soft-AdaLIN: normalisation whose gamma and beta are mixed from style and content.

    ``gamma = (1 - w) * from_style + w * from_content`` with w in [0, 1] per channel, likewise beta; then AdaLIN. As
    in photo2cartoon, w starts at 0.

    Args:
        channels: Width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w_gamma, self.w_beta = (nn.Parameter(torch.zeros(1, channels)) for _ in range(2))
        self.norm = LayerInstanceNorm(channels, 0.9, affine=False)
        self.c_gamma, self.c_beta = (_mlp(channels, channels) for _ in range(2))
        self.s_gamma, self.s_beta = (nn.Linear(channels, channels) for _ in range(2))

    def forward(self, x: Tensor, content: Tensor, style: Tensor) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``; ``content`` and ``style`` are ``(N, C)``."""
        gamma = _mixed(self.s_gamma(style), self.c_gamma(content), self.w_gamma)
        beta = _mixed(self.s_beta(style), self.c_beta(content), self.w_beta)
        y: Tensor = self.norm(x, gamma, beta)
        return y

    @torch.no_grad()
    def clip(self) -> None:
        """Clip both w to [0, 1]; called after every update. The inner norm clips its own rho."""
        self.w_gamma.clamp_(0, 1)
        self.w_beta.clamp_(0, 1)


def _mixed(style: Tensor, content: Tensor, w: Tensor) -> Tensor:
    """Interpolate at the precision of ``w``, also where the layers before computed in bfloat16."""
    return torch.lerp(style.to(w.dtype), content.to(w.dtype), w)


class _SteeredBlock(nn.Module):
    samplewise = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectionPad2d(1)
        self.conv1, self.conv2 = (Conv2d(channels, channels, 3, bias=False) for _ in range(2))
        self.norm1, self.norm2 = (SoftNorm(channels) for _ in range(2))

    def forward(self, x: Tensor, content: Tensor, style: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm1(self.conv1(self.pad(x)), content, style), inplace=True)
        y = self.norm2(self.conv2(self.pad(y)), content, style)
        return x + y


def _exit() -> nn.Sequential:
    return nn.Sequential(ImageConv2d(3, 3), nn.Tanh())


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


def _published_names() -> dict[str, str]:
    """Return our module names and those of photo2cartoon, without the hourglasses."""
    names = {
        "down.0.1": "ConvBlock1.1", "down.3.1": "DownBlock1.1", "down.4.1": "DownBlock2.1", "up.4.0": "ConvBlock2.1",
        "attention.heads.average": "gap_fc", "attention.heads.maximum": "gmp_fc", "attention.merge": "conv1x1",
        "style.0": "FC.0", "style.2": "FC.2",
    }  # fmt: skip
    for i in range(BLOCKS):
        names |= {f"blocks.{i}.body.{j}": f"EncodeBlock{i + 1}.conv_block.{j}" for j in (1, 5)}
        names |= _decoder_names(f"decode.{i}", f"DecodeBlock{i + 1}")
    for i in range(2):
        names |= {f"up.{i}.0": f"UpBlock{i + 1}.2", f"up.{i}.1": f"UpBlock{i + 1}.3"}
    return names


def _decoder_names(ours: str, theirs: str) -> dict[str, str]:
    """Return the paths of a decoder block's parts, whose names are the same on both sides."""
    mlps = ("c_gamma.0", "c_gamma.2", "c_beta.0", "c_beta.2", "s_gamma", "s_beta", "norm")
    norms = [f"norm{n}" for n in (1, 2)]
    parts = ["conv1", "conv2", *norms, *(f"{norm}.{part}" for norm in norms for part in mlps)]
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in parts}
