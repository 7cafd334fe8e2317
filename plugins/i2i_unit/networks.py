"""UNIT's networks, as in its MUNIT-style release (Liu et al. 2017, arXiv 1703.00848; Huang et al. 2018, 1804.04732)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Discriminator, Generator, Translation, Verdict
from i2i.nn import DoublingConv2d, ImageConv2d, ReflectionConv2d, Upsampling, each_stage, outermost_stages
from i2i_unit.layers import (
    ResidualBlock,
    SampleNorm,
    UpsamplingConv2d,
    initialise_kaiming,
    initialise_normal,
    normed,
)

PUBLISHED_LAYERS = 4


@dataclass
class Sampled(Translation):
    """The output of a variational generator.

    Attributes:
        sample: The decoded sample, ``(N, C, h, w)``: the latent, plus noise during training.
    """

    sample: Tensor | None = None


class VariationalGenerator(Generator):
    """The encoder of the source domain and the decoder of the target domain.

    The encoder returns the latent: the mean h of a normal distribution of unit variance (section 3 of the paper).
    During training h plus noise is decoded, otherwise h itself. The release shares no layers between the directions;
    the paper shares the encoders' last and the decoders' first layers (``shared_blocks``).

    Raises:
        ConfigError: ``shared_blocks`` exceeds ``blocks``.
    """

    name = "unit"
    samplewise = True
    provides = frozenset({"latent", "encoded"})
    published_with = {"shared_blocks": 0, "upsampling": "nearest"}  # shared blocks would drift apart there
    multiple_of = 4

    class Config(Generator.Config):
        """Options of the UNIT generator."""

        blocks: int = Field(4, ge=1, description="Residual blocks in the encoder and in the decoder.")
        shared_blocks: int = Field(0, ge=0, description="Blocks next to the latent shared by both directions.")
        noise: float = Field(1.0, ge=0, description="Standard deviation of the noise on latents during training.")
        branch_depth: int = Field(3, ge=1, le=3, description="Outermost stages per end that belong to a branch.")
        upsampling: Upsampling = Field(
            "nearest", description="How maps are enlarged: nearest, as published, can leave stripes; bilinear does not."
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        c = config.channels
        _check_shared(config)
        self.stochastic = config.noise > 0
        self.encoded_channels = (c, 2 * c, 4 * c, 4 * c, 4 * c)
        self.branch_points = outermost_stages(config.branch_depth, 3)
        halving = normed(ReflectionConv2d(c, 2 * c, 4, 2)), normed(ReflectionConv2d(2 * c, 4 * c, 4, 2))
        self.down = nn.Sequential(normed(ReflectionConv2d(3, c, 7)), *halving)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(config.blocks)))
        self.decode = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(config.blocks)))
        last = nn.Sequential(ImageConv2d(c, 3, bias=True), nn.Tanh())
        self.up = nn.Sequential(*(_Doubling(width, config.upsampling) for width in (4 * c, 2 * c)), last)
        self.apply(initialise_kaiming)

    def forward(self, x: Tensor) -> Sampled:
        """Translate ``x``, ``(N, 3, H, W)`` in [-1, 1]; H and W are multiples of 4."""
        encoded = self.encode(x)
        latent = encoded[-1]
        sample = self.disturb(latent)
        return Sampled(self.from_latent(sample), latent=latent, encoded=encoded, sample=sample)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each stage, halfway through the blocks and after them; the last is the latent."""
        maps = each_stage(self.down, x)
        within = each_stage(self.blocks, maps[-1])
        return [*maps, within[len(within) // 2], within[-1]]

    def disturb(self, latent: Tensor) -> Tensor:
        """During training, sample the normal distribution around ``latent``, ``(N, C, h, w)``; otherwise return it."""
        if not (self.training and self.config.noise):
            return latent
        return latent + self.config.noise * torch.randn_like(latent)

    def from_latent(self, latent: Tensor) -> Tensor:
        """Decode a latent, ``(N, C, h, w)``, without adding noise, to an image, ``(N, 3, 4h, 4w)``."""
        image: Tensor = self.up(self.decode(latent))
        return image

    def share_with(self, other: Generator) -> None:
        """Take the blocks next to the latent from the generator of the other direction."""
        count, blocks = self.config.shared_blocks, self.config.blocks
        for side, shared in (("blocks", range(blocks - count, blocks)), ("decode", range(count))):
            for index in shared:
                self.set_submodule(f"{side}.{index}", other.get_submodule(f"{side}.{index}"))

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of the release, where ``enc`` and ``dec`` of a file belong to one domain."""
        return _published(self, _generator_names(self.config.blocks))


class MultiscaleDiscriminator(Discriminator):
    """Patch discriminators of the same shape, each at half the resolution of the one before (Wang et al. 2018).

    They use no normalisation. The published 3 scales of 4 layers need images of 64 px or more.

    Raises:
        ConfigError: An image of ``size`` cannot be halved that often.
    """

    name = "multiscale"
    samplewise = True
    branch_points = ("scales.*",)

    class Config(Discriminator.Config):
        """Options of the multi-scale discriminator."""

        scales: int = Field(3, ge=1, le=32, description="Image scales, each half the size of the one before.")
        layers: int | None = Field(
            None, ge=1, le=32, description="Halving layers per scale; by default the published 4 if they fit."
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        layers = self._layers(config)
        widths = [3, *(config.channels * 2**i for i in range(layers))]
        self.scales = nn.ModuleList(_Judge(widths) for _ in range(config.scales))
        self.feature_channels = (widths[-1],) * config.scales
        self.apply(initialise_normal)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1]; logits are ``(N, 1, H/16, W/16)``, then half of that, and so on."""
        verdict = Verdict([])
        for index, judge in enumerate(self.scales):
            x = _halve(x) if index else x
            logits, features = judge(x)
            verdict.logits.append(logits)
            verdict.features.append(features)
        return verdict

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of the release."""
        layers = len(cast(_Judge, self.scales[0]).stages)
        return _published(self, _judge_names(len(self.scales), layers))

    def _layers(self, config: Config) -> int:
        smallest = -(-config.size // 2 ** (config.scales - 1))  # halving rounds up
        fitting = smallest.bit_length() - 1
        layers = min(PUBLISHED_LAYERS, fitting) if config.layers is None else config.layers
        if layers > fitting or layers < 1:
            raise ConfigError(_too_small(config, max(layers, 1)))
        if config.layers is None and layers < PUBLISHED_LAYERS:
            self.note = (
                f"Using {layers} halving layers in the multiscale discriminator at {config.size} px "
                f"(published: {PUBLISHED_LAYERS})."
            )
        return layers


class _Doubling(nn.Module):
    """Up-sampling that halves the channels. The norm is registered first, as in the release's files."""

    samplewise = True

    def __init__(self, channels: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.norm = SampleNorm(channels // 2)
        self.conv = (
            UpsamplingConv2d(channels, channels // 2)
            if upsampling == "nearest"
            else DoublingConv2d(channels, channels // 2, 5, bias=True, upsampling=upsampling)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class _Judge(nn.Module):
    """One scale: halving convolutions, and a logit for each remaining pixel."""

    samplewise = True

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        halving = (ReflectionConv2d(*pair, 4, 2) for pair in pairwise(widths))
        stages = (nn.Sequential(conv, nn.LeakyReLU(0.2, inplace=True)) for conv in halving)
        self.stages = nn.Sequential(*stages)
        self.head = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stages(x)
        return self.head(features), features


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def _check_shared(config: VariationalGenerator.Config) -> None:
    if config.shared_blocks > config.blocks:
        raise ConfigError(
            f"The generator 'unit' cannot share {config.shared_blocks} of its {config.blocks} blocks. "
            f"Use --generator.shared_blocks {config.blocks} or fewer, or more --generator.blocks."
        )


def _too_small(config: MultiscaleDiscriminator.Config, layers: int) -> str:
    needed = 2 ** (layers + config.scales - 1)
    return (
        f"The discriminator 'multiscale' with {config.scales} scales of {layers} layers is too deep for "
        f"{config.size} px. Lower --discriminator.scales or --discriminator.layers, or use --size {needed} or more."
    )


def _generator_names(blocks: int) -> dict[str, str]:
    """Return our module names and those of the release, in its order."""
    names = {f"down.{i}.0": f"enc.model.{i}.conv" for i in range(3)}
    for ours, theirs in (("blocks", "enc.model.3"), ("decode", "dec.model.0")):
        names |= {
            f"{ours}.{i}.body.{3 * j}": f"{theirs}.model.{i}.model.{j}.conv" for i in range(blocks) for j in (0, 1)
        }
    names |= {f"up.{i}.{part}": f"dec.model.{2 * i + 2}.{part}" for i in range(2) for part in ("norm", "conv")}
    return names | {"up.2.0": "dec.model.5.conv"}


def _judge_names(scales: int, layers: int) -> dict[str, str]:
    names: dict[str, str] = {}
    for scale in range(scales):
        names |= {f"scales.{scale}.stages.{i}.0": f"cnns.{scale}.{i}.conv" for i in range(layers)}
        names |= {f"scales.{scale}.head": f"cnns.{scale}.{layers}"}
    return names


def _published(network: nn.Module, names: dict[str, str]) -> dict[str, str]:
    """Return our keys and the published ones, in the order of ours."""
    parts = [key.rpartition(".") for key in network.state_dict()]
    return {f"{module}.{leaf}": f"{names[module]}.{leaf}" for module, _, leaf in parts}
