"""A discriminator that looks through a pretrained network (Sauer et al. 2021, "Projected GANs", arXiv 2111.01007)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Discriminator, Verdict, WeightsError
from i2i.nn import SpectralConv2d
from i2i.pretrained import weights
from i2i_features import timm_maps
from i2i_features.frozen import Frozen

AUTO, RANDOM = "auto", "random"
SLOPE = 0.2


class TimmDiscriminator(Discriminator):
    """A frozen network of timm whose maps at several depths are judged by small heads; only these are trained.

    Of the paper's two random projections the first is here, a fixed 1x1 convolution that mixes the channels of each
    map, so that heads cannot rest on a few channels; mixing across scales is left out.
    """

    name = "timm"
    branch_points = ("heads.*",)

    class Config(Discriminator.Config):
        """Options of the discriminator of timm's features."""

        network: str = Field("tf_efficientnet_lite0", description="The network, as timm calls it.")
        weights: str = Field(AUTO, description="A file; random; or auto: what is on this machine, else random.")
        scales: int = Field(4, ge=1, description="How many of the network's maps are judged, from the deepest.")
        mixing: bool = Field(True, description="Mix the channels of every map by a fixed random convolution.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        maps = timm_maps.TimmMaps(config.network)
        self._take_weights(maps)
        self.trunk = Frozen(maps, maps.about.mean, maps.about.std)
        widths = _deepest(maps, config)
        mixers = [_mixer(width, config.channels) if config.mixing else nn.Identity() for width in widths]
        self.mixers = nn.ModuleList(mixers).requires_grad_(False)
        inputs = [config.channels] * len(widths) if config.mixing else widths
        self.heads = nn.ModuleList(_Head(width, config.channels) for width in inputs)
        self.feature_channels = (config.channels,) * len(widths)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1], by every scale."""
        maps = self.trunk(x)[-len(self.heads) :]
        pairs = [head(mixer(map_)) for head, mixer, map_ in zip(self.heads, self.mixers, maps, strict=True)]
        logits, features = zip(*pairs, strict=True)
        return Verdict(list(logits), features=list(features))

    def _take_weights(self, maps: timm_maps.TimmMaps) -> None:
        """Fill ``maps``, but where a saved model's weights follow; on the meta device a user's file is only checked."""
        path = None if self.config.weights == AUTO else self.config.weights
        unseen = path is None and next(maps.parameters()).is_meta
        if self.config.weights == RANDOM or unseen or weights.are_brought():
            return
        try:
            timm_maps.look_up(maps.name, path)
        except WeightsError as error:
            if path is not None:
                raise
            self.note = f"The discriminator's {maps.name} keeps random weights. {error}"
            return
        maps.take(timm_maps.read(maps.name, path))


class _Head(nn.Module):
    """Two 3x3 convolutions and one patch logit, over any size of map down to a pixel."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.first = SpectralConv2d(inputs, channels, 3, padding=1)
        self.second = SpectralConv2d(channels, channels, 3, padding=1)
        self.last = SpectralConv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, C, h, w)`` to logits, ``(N, 1, h, w)``, and the features that they are computed from."""
        features = F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)
        return self.last(features), features


def _deepest(maps: timm_maps.TimmMaps, config: TimmDiscriminator.Config) -> list[int]:
    if config.scales > len(maps.channels):
        raise ConfigError(
            f"The timm network '{config.network}' has maps of {len(maps.channels)} scales, not {config.scales}. "
            "Lower --discriminator.scales."
        )
    return list(maps.channels[-config.scales :])


def _mixer(inputs: int, outputs: int) -> nn.Conv2d:
    mixer = nn.Conv2d(inputs, outputs, 1, bias=False)
    with torch.no_grad():
        nn.init.kaiming_normal_(mixer.weight, nonlinearity="linear")  # keeps the size of the features
    return mixer
