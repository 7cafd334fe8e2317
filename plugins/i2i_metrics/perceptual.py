"""LPIPS, perceptual distance: to the true translation, and among translations."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import Case, Metric, Pretrained, Score
from i2i_metrics.bootstrap import bootstrap
from i2i_metrics.paired import to_truth

SMALLEST = 64
"""Images below this side in pixels are enlarged: they are too small for AlexNet's strides."""
PARTNERS = 5
"""How many others each translation is compared with."""
NETWORKS = {"alex": "alexnet", "vgg": "vgg16"}


class PerceptualMetric(Metric):
    """A metric computed from LPIPS (abstract)."""

    resize = f"none from {SMALLEST} px on, else to {SMALLEST} px, bicubic"

    class Config(Metric.Config):
        """Options of LPIPS."""

        network: Literal["alex", "vgg"] = Field("alex", description="Which of the published networks.")

    config: Config

    def prepare(self, pretrained: Pretrained, device: torch.device) -> None:
        """Load LPIPS."""
        super().prepare(pretrained, device)
        network = self.config.network
        self.network = f"LPIPS 0.1, {network} ({pretrained.find(NETWORKS[network]).title})"
        self.distance = lpips_network(network, device, cast(Hashable, pretrained))

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the LPIPS of each pair of images, both ``(N, 3, H, W)`` in [-1, 1]: ``(N,)`` on the CPU."""
        with torch.no_grad():
            distances = self.distance(_enlarged(x.to(self.device)), _enlarged(y.to(self.device)))
        return rearrange(cast(Tensor, distances), "n 1 1 1 -> n").float().cpu()


class LPIPS(PerceptualMetric):
    """LPIPS to the true image (Zhang et al. 2018, arXiv 1801.03924, version 0.1): 0 is equal, about 1 the maximum."""

    name = "lpips"
    paired = True

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        return bootstrap(to_truth(case, self.compare), case.fake.names)


class Diversity(PerceptualMetric):
    """LPIPS between translations of different sources; near 0 if every source becomes the same drawing.

    Each translation is compared with up to five others. Higher is not always better: the score of real drawings shows
    how much those differ.
    """

    name = "diversity"
    higher_is_better = True
    fewest = 2

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        fakes = case.fake.whole()
        shifts = range(1, min(PARTNERS, len(fakes) - 1) + 1)
        distances = [self.compare(fakes, fakes.roll(shift, 0)) for shift in shifts]
        return bootstrap(reduce(distances, "partner n -> n", "mean"), case.fake.names)


@cache
def lpips_network(network: Literal["alex", "vgg"], device: torch.device, pretrained: Pretrained) -> nn.Module:
    """Return the module of the package ``lpips`` with the weights found on this machine; built once per process.

    Raises:
        WeightsError: They are not on this machine.
    """
    backbone, heads = (pretrained.load(name) for name in (NETWORKS[network], f"lpips-{NETWORKS[network]}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision in a deprecated way
        import lpips

        module: nn.Module = lpips.LPIPS(net=network, pretrained=False, pnet_rand=True, verbose=False)
    module.load_state_dict(_named_as(module.state_dict(), backbone) | heads, strict=False)
    return module.eval().requires_grad_(False).to(device)


def _named_as(state: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename ``features.3.weight`` as in the package, which slices the stack: ``net.slice2.3.weight``."""
    ends = {key.partition(".")[2]: tensor for key, tensor in features.items()}
    places = {key: ".".join(key.split(".")[2:]) for key in state if key.startswith("net.slice")}
    return {key: ends[end] for key, end in places.items()}


def _enlarged(x: Tensor) -> Tensor:
    if min(x.shape[-2:]) >= SMALLEST:
        return x
    scale = SMALLEST / min(x.shape[-2:])
    return F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False).clamp(-1, 1)
