"""The PatchGAN and pixel discriminators of pix2pix and CycleGAN (Isola et al. 2017, arXiv 1611.07004, appendix)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from i2i import ConfigError, Discriminator, Verdict
from i2i.nn import InstanceNorm, MinibatchStd
from i2i_cyclegan.networks import initialise, parameter_keys

PUBLISHED_PATCH_LAYERS = 3


class PatchDiscriminator(Discriminator):
    """The PatchGAN: with the published 3 layers each logit judges a patch of 70 x 70 pixels (Isola et al. 2017).

    Raises:
        ConfigError: Images of ``size`` are too small for that many ``layers``.
    """

    name = "patch"
    published_with = {"minibatch_std": False}
    samplewise = True

    class Config(Discriminator.Config):
        """Options of the patch discriminator."""

        layers: int | None = Field(None, ge=1, le=32, description="Halving layers: the published 3, fewer below 64 px.")
        minibatch_std: bool = Field(
            False, description="Also judge how much the images of a batch differ, so that not all come out alike."
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        layers = _patch_layers(config.size) if config.layers is None else config.layers
        _check_patch(config.size, layers)
        if config.layers is None and layers < PUBLISHED_PATCH_LAYERS:
            self.note = (
                f"Using {layers} patch discriminator layers at {config.size} px (the published 3 need 64 px or more)."
            )
        widths = [config.channels * min(2**layer, 8) for layer in range(layers + 1)]
        self.stages = nn.Sequential(*(_patch_stage(layer, widths) for layer in range(layers + 1)))
        self.spread = MinibatchStd() if config.minibatch_std else None
        self.head = nn.Conv2d(widths[-1] + config.minibatch_std, 1, 4, 1, 1)
        self.feature_channels = (widths[-1],)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1]: logits ``(N, 1, H/8 - 2, W/8 - 2)`` with 3 layers."""
        features = self.stages(x)
        judged = features if self.spread is None else self.spread(features)
        return Verdict(logits=[self.head(judged)], features=[features])

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of pytorch-CycleGAN-and-pix2pix."""
        last = len(self.stages) - 1
        stages = {f"stages.{i}.0": f"model.{max(0, 3 * i - 1)}" for i in range(last + 1)}
        return parameter_keys({**stages, "head": f"model.{3 * last + 2}"})


class PixelDiscriminator(Discriminator):
    """The pixel discriminator: three 1x1 convolutions, so each logit judges the colour of a single pixel."""

    name = "pixel"
    samplewise = True

    def __init__(self, config: Discriminator.Config) -> None:
        super().__init__(config)
        width = config.channels
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width, 1), nn.LeakyReLU(0.2, inplace=True)),
            nn.Sequential(nn.Conv2d(width, 2 * width, 1), InstanceNorm(), nn.LeakyReLU(0.2, inplace=True)),
        )
        self.head = nn.Conv2d(2 * width, 1, 1)
        self.feature_channels = (2 * width,)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1]: logits ``(N, 1, H, W)``."""
        features = self.stages(x)
        return Verdict(logits=[self.head(features)], features=[features])

    def published_keys(self) -> dict[str, str]:
        """Return our keys and those of pytorch-CycleGAN-and-pix2pix."""
        return parameter_keys({"stages.0.0": "net.0", "stages.1.0": "net.2", "head": "net.5"})


def _patch_layers(size: int) -> int:
    """Return as many layers as leave 6 x 6 patches, as 3 do at 64 px; at least 1, at most 3."""
    return min(PUBLISHED_PATCH_LAYERS, max(1, size.bit_length() - 4))


def _check_patch(size: int, layers: int) -> None:
    if size >> layers < 3:  # two unstrided convolutions take a pixel each, and a norm needs more than one
        raise ConfigError(
            f"The discriminator 'patch' with {layers} layers leaves nothing of {size} px. "
            f"Use at most {max(0, (size // 3).bit_length() - 1)} layers or a size of at least {3 * 2**layers}."
        )


def _patch_stage(layer: int, widths: list[int]) -> nn.Sequential:
    stride = 1 if layer == len(widths) - 1 else 2
    conv = nn.Conv2d(widths[layer - 1] if layer else 3, widths[layer], 4, stride, 1)
    norm = [InstanceNorm()] if layer else []
    return nn.Sequential(conv, *norm, nn.LeakyReLU(0.2, inplace=True))
