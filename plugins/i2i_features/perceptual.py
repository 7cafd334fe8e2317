"""The perceptual loss: a translation keeps what a pretrained network sees in its source."""

from __future__ import annotations

import torch
from einops import reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import DOMAINS, OTHER_DOMAIN, ConfigError, Loss, Passes, Pretrained
from i2i_features.normalised import checked

EPS = 1e-5


class Perceptual(Loss):
    """Mean squared difference between the instance-normalised features of a fake and its source.

    As in the later release of UNIT (Liu et al. 2017, arXiv 1703.00848) and in MUNIT (Huang et al. 2018, arXiv
    1804.04732, "domain-invariant perceptual loss"): the layer relu5_3 of VGG16, computed without the pooling before
    its last block; instance normalisation removes style. Both used Caffe's weights, here
    ``vgg16-caffe``; ``vgg16`` has torchvision's. Images are normalised as each network was trained.
    """

    name = "perceptual"
    needs = frozenset({"fake"})

    class Config(Loss.Config):
        """Options of the perceptual term."""

        network: str = Field("vgg16", description="vgg16, vgg16-caffe (as in UNIT), alexnet, timm:NAME, …")
        layers: tuple[str, ...] = Field((), description="Layers to compare; by default the deepest.")
        weights: str | None = Field(None, description="File of the network's weights; by default they are looked for.")

    config: Config

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> None:
        """Load the network onto ``device``; it is not trained."""
        self.network = pretrained.features(self.config.network, self.config.weights, device)
        self._layers = checked(self.config.layers, self.network) or self._deepest()

    def _deepest(self) -> list[str]:
        if not self.network.layers:
            raise ConfigError(
                f"The feature network '{self.config.network}' shows no layers to compare. Choose another."
            )
        return [self.network.layer or self.network.layers[-1]]

    def generator(self, passes: Passes) -> Tensor:
        """Return the feature distance of fakes from their sources, ``(N,)``, summed over directions and layers."""
        with torch.no_grad():
            sources = self._maps([passes.batch.real[OTHER_DOMAIN[domain]] for domain in DOMAINS])
        fakes = self._maps([passes.fake[domain].image for domain in DOMAINS])
        distances = [self._distance(fake, source) for fake, source in zip(fakes, sources, strict=True)]
        total = reduce(distances, "layer both -> both", "sum")
        return reduce(total, "(domain n) -> n", "sum", domain=len(DOMAINS))

    def _maps(self, images: list[Tensor]) -> list[Tensor]:
        return self.network.maps(torch.cat(images), self._layers)

    def _distance(self, fake: Tensor, source: Tensor) -> Tensor:
        if fake.shape[-2:] == (1, 1):
            raise ConfigError(
                f"The deepest layer of {self.config.network} leaves one pixel, which normalisation makes 0. Raise "
                "--size, or name shallower layers: --loss.perceptual.layers '[\"...\"]'."
            )
        return reduce((_normalised(fake) - _normalised(source)).square(), "n c h w -> n", "mean")


def _normalised(x: Tensor) -> Tensor:
    """Normalise every map of every sample, in full precision even under autocast."""
    x = x.float()
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + EPS)
