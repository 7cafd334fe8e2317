"""Any network of timm as a feature network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from i2i import ConfigError, Pretrained
from i2i_features import timm_maps
from i2i_features.normalised import Normalised, checked, fingerprint, square


class Timm(Normalised):
    """A network of timm: ``timm:tf_efficientnet_lite0`` has 1280 features, ``timm:resnet50`` 2048.

    Its layers are timm's stages, numbered from ``0``. Features are pooled by the network's own head, from images at its
    training size; without named layers `maps` returns the last maps before pooling. Both need the whole network,
    which is built on first use.
    """

    name = "timm"

    def __init__(self, variant: str = "") -> None:
        if not variant:
            raise ConfigError(
                "The feature network 'timm' needs a name, such as 'timm:resnet50'. See timm.list_models()."
            )
        config = timm_maps.timm_config(variant)
        super().__init__(variant, config.mean, config.std)
        self.variant, self.side = variant, int(config.input_size[-1])
        self.resize = f"{self.side} px, bicubic"
        self._read: Callable[[], Mapping[str, Tensor]] = dict
        self.whole: Any = None
        self._build_stages()

    def _build_stages(self) -> None:
        try:
            self.network = timm_maps.TimmMaps(self.variant)
        except ConfigError as error:  # such as a transformer, which still has features
            self._refusal = str(error)
            return
        self.channels = self.network.channels
        self.layers = tuple(str(number) for number in range(len(self.channels)))

    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """Load the weights of the stages."""
        given = f"timm:{self.variant}", weights, [timm_maps.source(self.variant)]
        if self.layers:
            weights_found = pretrained.fill(self.network.body, *given, self.network.converted)
        else:
            weights_found = pretrained.find(*given)
        self._read = partial(pretrained.load, *given)
        self.title = f"timm's {self.variant} ({weights_found.title})"
        self.fingerprint = fingerprint(f"timm {self.variant} {self.resize}", weights_found.path)

    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Return one map per layer, each ``(N, C, h, w)``, of ``x``, ``(N, 3, H, W)`` in [-1, 1].

        Raises:
            ConfigError: It has no such layer, or, like a vision transformer, no maps at all.
        """
        if not layers:
            return [self._last(x)]
        if not self.layers:
            raise ConfigError(self._refusal)
        stages = self.network(self.normalised(x))
        return [stages[int(layer)] for layer in checked(layers, self)]

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, D)``, of images of any size, pooled by the network's own head."""
        pooled: Tensor = self._whole(x).forward_head(self._unpooled(self.resized(x)))
        return pooled

    def resized(self, x: Tensor) -> Tensor:
        """Return images, ``(N, 3, H, W)`` in [-1, 1], at the network's training size."""
        return square(x, self.side)

    def _last(self, x: Tensor) -> Tensor:
        maps = self._unpooled(x)
        if maps.dim() != 4:
            raise ConfigError(f"{self.title} has no maps. Choose a convolutional network.")
        return timm_maps.channels_first(maps, self._whole(x).num_features)

    def _unpooled(self, x: Tensor) -> Tensor:
        unpooled: Tensor = self._whole(x).forward_features(self.normalised(x))
        return unpooled

    def _whole(self, x: Tensor) -> Any:
        if self.whole is None:
            whole = timm_maps.whole(self.variant, self._read())
            whole.reset_classifier(0)
            self.whole = whole.eval().requires_grad_(False).to(x.device)
        return self.whole
