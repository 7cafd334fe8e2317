"""Any network of timm, as a network that metrics see with."""

from __future__ import annotations

from torch import Tensor, nn

from i2i import ConfigError, FeatureNetwork
from i2i.pretrained.weights import find
from i2i_features import timm_maps
from i2i_features.frozen import Frozen
from i2i_features.seeing import fingerprint, resized


class Timm(FeatureNetwork):
    """A network of timm: the features before its classifier, of images of the size that it was trained on.

    ``timm:tf_efficientnet_lite0`` has 1280, ``timm:resnet50`` 2048.
    """

    name = "timm"

    def __init__(self, variant: str = "", weights: str | None = None) -> None:
        super().__init__()
        if not variant:
            raise ConfigError(
                "The feature network 'timm' needs a name, such as 'timm:resnet50'. See timm.list_models()."
            )
        about = timm_maps.published(variant)
        found = find(f"timm:{variant}", weights, [timm_maps.source(variant)])
        self.body = timm_maps.whole(variant, timm_maps.read(variant, weights))
        self.body.reset_classifier(0)
        self.last = Frozen(_Last(self.body), about.mean, about.std)
        self.side: int = about.input_size[-1]
        self.title = f"timm's {variant} ({found.source.name if found.source else found.path})"
        self.resize = f"{self.side} px, bicubic"
        self.fingerprint = fingerprint(f"timm {variant} {self.resize}", found.path)

    def maps(self, x: Tensor) -> Tensor:
        """Return the last maps, ``(N, C, h, w)``, of ``x``, ``(N, 3, H, W)`` in [-1, 1].

        Raises:
            ConfigError: It has no maps, as a vision transformer.
        """
        found = self._seen(x)
        if found.dim() != 4:
            raise ConfigError(f"{self.title} has no maps. Choose a convolutional network.")
        return timm_maps.channels_first(found, self.body.num_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, D)``, as the network's own head pools them."""
        pooled: Tensor = self.body.forward_head(self._seen(x))
        return pooled

    def _seen(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(resized(x, self.side))
        return found


class _Last(nn.Module):
    """What a network of timm has last, before pooling."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.body.forward_features(x)
        return found
