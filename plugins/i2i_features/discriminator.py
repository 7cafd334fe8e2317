"""A discriminator on the features of a pretrained network (Sauer et al. 2021, "Projected GANs", arXiv 2111.01007)."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Discriminator, FeatureNetwork, Lookup, Pretrained, Verdict, WeightsError
from i2i.nn import SpectralConv2d

AUTO, RANDOM = "auto", "random"
SLOPE = 0.2


class TimmDiscriminator(Discriminator):
    """A frozen feature network with small trainable heads on its maps at several depths.

    Of the paper's two random projections it has the first, a fixed 1x1 convolution that mixes the channels of each
    map so that heads cannot rely on a few channels; mixing across scales is left out.
    """

    name = "timm"
    branch_points = ("heads.*",)
    pretrained = ("trunk",)

    class Config(Discriminator.Config):
        """Options of the discriminator of pretrained features."""

        network: str = Field(
            "tf_efficientnet_lite0", description="The network, as timm calls it, or any feature network with layers."
        )
        weights: str = Field(AUTO, description="A file; random; or auto: weights on this machine, else random.")
        scales: int = Field(
            4, ge=1, le=32, description="How many of the network's layers are judged, from the deepest."
        )
        mixing: bool = Field(True, description="Mix the channels of every map by a fixed random convolution.")

    config: Config

    def assemble(self, lookup: Lookup) -> None:
        """Build the feature network, and the heads on its maps."""
        self._look_through(_feature_network(self.config.network, lookup))

    def renewed(self) -> Self:
        """Return one with new heads and mixing, over the same feature network, which is frozen."""
        fresh = super().renewed()
        fresh._look_through(self.trunk)
        fresh.note = self.note
        return fresh

    def _look_through(self, network: FeatureNetwork) -> None:
        config = self.config
        self.trunk = network.requires_grad_(False)
        self.layers, widths = _deepest(self.trunk, config)
        mixers = [_mixer(width, config.channels) if config.mixing else nn.Identity() for width in widths]
        self.mixers = nn.ModuleList(mixers).requires_grad_(False)
        inputs = [config.channels] * len(widths) if config.mixing else widths
        self.heads = nn.ModuleList(_Head(width, config.channels) for width in inputs)
        self.feature_channels = (config.channels,) * len(widths)

    def prepare(self, pretrained: Pretrained) -> None:
        """Load the feature network's weights; with auto, missing ones stay random, with a note."""
        if self.config.weights == RANDOM:
            return
        path = None if self.config.weights == AUTO else self.config.weights
        try:
            self.trunk.prepare(pretrained, path)
        except WeightsError as error:
            if path is not None:
                raise
            self.note = f"{error} Without them, the discriminator's {self.config.network} has random weights."

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1], at every scale."""
        maps = self.trunk.maps(x, self.layers)
        pairs = [head(mixer(map_)) for head, mixer, map_ in zip(self.heads, self.mixers, maps, strict=True)]
        logits, features = zip(*pairs, strict=True)
        return Verdict(list(logits), features=list(features))


class _Head(nn.Module):
    """Two 3x3 convolutions and a patch logit per pixel, for maps of any size."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.first = SpectralConv2d(inputs, channels, 3, padding=1)
        self.second = SpectralConv2d(channels, channels, 3, padding=1)
        self.last = SpectralConv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, C, h, w)`` to logits, ``(N, 1, h, w)``, and the features below them."""
        features = F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)
        return self.last(features), features


def _feature_network(name: str, lookup: Lookup) -> FeatureNetwork:
    """Return a registered feature network; other names are looked up in timm."""
    kind, _, variant = name.partition(":")
    known = kind in lookup.names(FeatureNetwork)
    return lookup.get(FeatureNetwork, kind if known else "timm")(variant if known else name).eval()


def _deepest(network: FeatureNetwork, config: TimmDiscriminator.Config) -> tuple[list[str], list[int]]:
    """Return the names and channels of the layers that get a head."""
    if config.scales > len(network.layers):
        raise ConfigError(
            f"The feature network '{config.network}' has maps of {len(network.layers)} scales, not {config.scales}. "
            "Lower --discriminator.scales."
        )
    return list(network.layers[-config.scales :]), list(network.channels[-config.scales :])


def _mixer(inputs: int, outputs: int) -> nn.Conv2d:
    mixer = nn.Conv2d(inputs, outputs, 1, bias=False)
    with torch.no_grad():
        nn.init.kaiming_normal_(mixer.weight, nonlinearity="linear")  # keeps the size of the features
    return mixer
