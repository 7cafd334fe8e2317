"""U-GAT-IT's networks (Kim et al. 2020, arXiv 1907.10830, sections 2.1 and A)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Discriminator, Generator, Translation, Verdict, output_width
from i2i.nn import (
    CamAttention,
    Conv2d,
    ImageConv2d,
    LayerInstanceNorm,
    ReflectionPad2d,
    ResidualBlock,
    SpectralConv2d,
    SpectralLinear,
    Upsampling,
    channel_means,
    doubling_stage,
    each_stage,
    entry_stage,
    halving_stage,
    outermost_stages,
)


class AttentionGenerator(Generator):
    """Encoder, class-activation attention, and a decoder whose normalisation depends on the attended features.

    The outermost ``branch_depth`` stages on either side are branch points: with 3, the 7x7 convolution and two
    downsamplings of the encoder, and two upsamplings and the last convolution of the decoder.

    With ``colour_skip`` the image, shrunk to the maps between them and mapped to their channels, is added before the
    decoder, as one more branch point. The published generator has no such connection: its instance norms leave the
    contrasts of an image, and nothing tells how light they were, so that similar tones of skin come out as one.
    """

    name = "ugatit"
    samplewise = True
    provides = frozenset({"cam", "encoded"})
    cam_points = ("attention.heads",)
    published_with = {"downsamplings": 2, "colour_skip": False, "upsampling": "nearest"}

    class Config(Generator.Config):
        """Options of the U-GAT-IT generator."""

        blocks: int = Field(4, ge=1, description="Residual blocks in the encoder and in the decoder.")
        downsamplings: int = Field(
            2, ge=1, le=8, description="Each halves the side and doubles the channels before the residual blocks."
        )
        light: bool = Field(
            True, description="Decode from pooled features; off: from all of them, at a fixed image size."
        )
        branch_depth: int = Field(3, ge=1, description="Stages on either side that belong to a branch.")
        colour_skip: bool = Field(
            False, description="Also pass colours around the encoder, whose normalisation loses how light they are."
        )
        upsampling: Upsampling = Field(
            "nearest", description="How maps are enlarged: nearest, as published, can leave stripes; bilinear does not."
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        levels = config.downsamplings
        *outer, inner = widths = [config.channels * 2**level for level in range(levels + 1)]
        self.multiple_of = 2**levels
        self.fixed_size = not config.light
        self.encoded_channels = (*widths, inner, inner)
        self.branch_points = outermost_stages(config.branch_depth, levels + 1)
        self.down = nn.Sequential(entry_stage(config.channels), *map(halving_stage, outer))
        self.blocks = nn.Sequential(*(ResidualBlock(inner) for _ in range(config.blocks)))
        self.attention = CamAttention(inner)
        self.colours = nn.Conv2d(3, inner, 1, bias=False) if config.colour_skip else None
        if self.colours is not None:
            self.branch_points = (*self.branch_points, "colours")
        self.style = _Style(inner, 1 if config.light else (config.size // self.multiple_of) ** 2)
        self.decode = nn.ModuleList(_SteeredBlock(inner) for _ in range(config.blocks))
        doubling = (doubling_stage(width, config.upsampling) for width in reversed(widths[1:]))
        self.up = nn.Sequential(*doubling, _exit(config.channels))

    def forward(self, x: Tensor) -> Translation:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]; H and W are multiples of ``multiple_of``."""
        encoded = self.encode(x)
        attended, cam_logits = self.attention(encoded[-1])
        heatmap = reduce(attended, "n c h w -> n 1 h w", "sum")
        y = attended if self.colours is None else attended + self.colours(F.avg_pool2d(x, self.multiple_of))
        gamma, beta = self.style(y)
        for block in self.decode:
            y = block(y, gamma, beta)
        return Translation(self.up(y), cam_logits, heatmap, encoded=encoded)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each encoder stage, halfway through the residual blocks, and after them."""
        maps = each_stage(self.down, x)
        within = each_stage(self.blocks, maps[-1])
        return [*maps, within[len(within) // 2], within[-1]]

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of UGATIT-pytorch."""
        return _published(self, _generator_names(self.config.blocks))


class AttentionDiscriminator(Discriminator):
    """Two patch discriminators with class-activation attention: a deep one that sees globally, a shallow local one."""

    name = "ugatit"
    samplewise = True
    branch_points = ("parts.*",)

    class Config(Discriminator.Config):
        """Options of the U-GAT-IT discriminators."""

        global_layers: int | None = Field(
            None, ge=3, le=32, description="Depth of the global one; the published 7 if it fits."
        )
        local_layers: int | None = Field(
            None, ge=3, le=32, description="Depth of the local one; the published 5 if it fits."
        )

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

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of UGATIT-pytorch, prefixed with ``G.`` (global) or ``L.`` (local)."""
        return {
            f"parts.{name}.{key}": f"{name[0].upper()}.{theirs}"
            for name, part in self.parts.items()
            for key, theirs in _published(part, _judge_names(len(cast(nn.Sequential, part.model)))).items()
        }

    @classmethod
    def published_options(cls, state: Mapping[str, Tensor], whose: str) -> dict[str, Any]:
        """Return ``channels`` and the depth of each part in ``state``, whose keys start with ``G.`` or ``L.``."""
        options: dict[str, Any] = {}
        for letter, name in {"G": "global", "L": "local"}.items():
            part = {key.removeprefix(f"{letter}."): t for key, t in state.items() if key.startswith(f"{letter}.")}
            if part:
                options["channels"] = output_width(part, "model.1.weight_orig", whose)
                stages = sum(bool(re.fullmatch(r"model\.\d+\.weight_orig", key)) for key in part)
                options[f"{name}_layers"] = stages + 1
        return options

    def _depths(self, config: Config) -> tuple[int, int]:
        deep, shallow = (7, 5) if config.size >= 128 else _depths_that_fit(config.size)
        if config.size < 128 and (config.global_layers is None or config.local_layers is None):
            self.note = f"Using {deep} and {shallow} discriminator layers (the published 7 and 5 need 128 px or more)."
        depths = config.global_layers or deep, config.local_layers or shallow
        if config.size // 2 ** (max(depths) - 2) < 4:
            raise ConfigError(
                f"A U-GAT-IT discriminator of {max(depths)} layers needs images of {4 * 2 ** (max(depths) - 2)} px "
                f"or more, not {config.size}. Lower --discriminator.global_layers or raise --size."
            )
        return depths


class _Style(nn.Module):
    """Map features to the gamma and beta of the decoder's normalisations, each ``(N, C)``."""

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__()
        self.pooled = pixels == 1
        self.mlp = nn.Sequential(
            nn.Linear(channels * pixels, channels, bias=False), nn.ReLU(),
            nn.Linear(channels, channels, bias=False), nn.ReLU(),
        )  # fmt: skip
        self.gamma, self.beta = nn.Linear(channels, channels, bias=False), nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled = channel_means(x) if self.pooled else rearrange(x, "n c h w -> n (c h w)")
        code = self.mlp(pooled)
        return self.gamma(code), self.beta(code)


class _SteeredBlock(nn.Module):
    samplewise = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectionPad2d(1)
        self.conv1, self.conv2 = (Conv2d(channels, channels, 3, bias=False) for _ in range(2))
        self.norm1, self.norm2 = (LayerInstanceNorm(channels, 0.9, affine=False) for _ in range(2))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta), inplace=True)
        y = self.norm2(self.conv2(self.pad(y)), gamma, beta)
        return x + y


class _AttentionJudge(nn.Module):
    """One patch discriminator: features, attention, patch logits."""

    samplewise = True

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [3, *(channels * 2**i for i in range(layers - 1))]
        strides = [2] * (layers - 2) + [1]
        stages = zip(widths[:-1], widths[1:], strides, strict=True)
        self.model = nn.Sequential(*(_judge_stage(*stage) for stage in stages))
        self.attention = CamAttention(widths[-1], spectral=True, slope=0.2)
        self.last = nn.Sequential(ReflectionPad2d(1), SpectralConv2d(widths[-1], 1, 4, bias=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features, cam_logits = self.attention(self.model(x))
        return self.last(features), cam_logits, features


def _exit(channels: int) -> nn.Sequential:
    return nn.Sequential(ImageConv2d(channels, 3), nn.Tanh())


def _judge_stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ReflectionPad2d(1), SpectralConv2d(inputs, outputs, 4, stride), nn.LeakyReLU(0.2))


def _depths_that_fit(size: int) -> tuple[int, int]:
    deep = max(4, int(math.log2(size)) - 1)
    return deep, deep - 1


_HEADS = {
    "attention.heads.average": "gap_fc", "attention.heads.maximum": "gmp_fc", "attention.merge": "conv1x1",
}  # fmt: skip


_SPECTRAL = {"weight": "weight_orig", "u": "weight_u", "v": "weight_v"}


def _generator_names(blocks: int) -> dict[str, str]:
    """Return our module names and those of UGATIT-pytorch."""
    names = _HEADS | {f"down.{i}.1": f"DownBlock.{1 + 4 * i}" for i in range(3)}
    for i in range(blocks):
        names |= {f"blocks.{i}.body.{j}": f"DownBlock.{12 + i}.conv_block.{j}" for j in (1, 5)}
        names |= {f"decode.{i}.{part}": f"UpBlock1_{i + 1}.{part}" for part in ("conv1", "norm1", "conv2", "norm2")}
    names |= {"style.mlp.0": "FC.0", "style.mlp.2": "FC.2", "style.gamma": "gamma", "style.beta": "beta"}
    names |= {f"up.{i}.0": f"UpBlock2.{2 + 5 * i}" for i in range(2)}
    return names | {f"up.{i}.1": f"UpBlock2.{3 + 5 * i}" for i in range(2)} | {"up.2.0": "UpBlock2.11"}


def _judge_names(stages: int) -> dict[str, str]:
    return _HEADS | {"last.1": "conv"} | {f"model.{i}.1": f"model.{1 + 3 * i}" for i in range(stages)}


def _published(network: nn.Module, names: dict[str, str]) -> dict[str, str]:
    """Return our keys and the published ones; for spectral norms, those of torch's old ``spectral_norm``."""
    keys = {}
    for key in network.state_dict():
        module, _, leaf = key.rpartition(".")
        if isinstance(network.get_submodule(module), SpectralConv2d | SpectralLinear):
            leaf = _SPECTRAL.get(leaf, leaf)
        keys[key] = f"{names[module]}.{leaf}"
    return keys
