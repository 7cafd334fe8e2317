"""Cases made of tensors, and a feature network that sees little."""

from __future__ import annotations

import pytest
import torch

from i2i import FeatureNetwork, Metric, PretrainedNetworks, Registry
from i2i.contracts.metric import Case, Images

CPU = torch.device("cpu")
PRETRAINED = PretrainedNetworks(Registry())


def built(metric: type[Metric], **options) -> Metric:
    """Return a metric that is ready to score."""
    ready = metric(metric.Config(**options))
    ready.prepare(PRETRAINED, CPU)
    return ready


def images(x, names=None, chunk=2):
    """Return ``x``, ``(N, 3, H, W)``, as images that come in chunks."""
    return Images(lambda: iter(x.split(chunk)), names or [str(i) for i in range(len(x))])


def flat(*values, side=32):
    """Return even grey images."""
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, side, side)


def case(fake, source=None, real=None, truth=None, drawings=None, group="man", names=None):
    """Return a case; what is not given is the fakes."""
    given = [images(fake if x is None else x, names) for x in (fake, source)]
    real_ = images(fake if real is None else real)
    truth_ = None if truth is None else images(truth)
    return Case(group, given[0], given[1], real_, truth_, drawings or {})


class Colours(FeatureNetwork):
    """Sees nothing but the mean of red, green and blue, and each quarter of an image as a place."""

    name = "colours"
    title = "mean colours"
    resize = "none"

    def prepare(self, pretrained, weights):
        """There are no weights."""

    def maps(self, x, layers=()):
        return [torch.nn.functional.adaptive_avg_pool2d(x, 2)]


@pytest.fixture
def colours(monkeypatch):
    """Let every metric see colours alone."""
    monkeypatch.setattr(PretrainedNetworks, "features", lambda self, name, weights, device: Colours())
    return Colours()


@pytest.fixture
def noise():
    def make(*shape, seed=0):
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    return make
