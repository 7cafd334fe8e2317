from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.contracts.generator import Generator
from i2i.evaluation.symptoms import Look, checkerboard
from i2i.registry.registry import Registry


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "published"), [("ugatit", "nearest"), ("resnet", "transposed"), ("unit", "nearest")])
def test_an_untrained_generator_leaves_a_pattern_of_two_pixels_unless_it_upsamples_bilinearly(
    registry: Registry, name: str, published: str, seed: int
) -> None:
    kind = registry.get(Generator, name)
    assert kind.Config().upsampling == published
    torch.manual_seed(seed)
    smooth = F.interpolate(torch.rand(4, 3, 4, 4) * 2 - 1, size=(32, 32), mode="bilinear")
    figures = {}
    for upsampling in (published, "bilinear"):
        network = kind(kind.Config(size=32, channels=4, upsampling=upsampling)).eval()
        with torch.no_grad():
            figures[upsampling] = checkerboard(Look(smooth, network(smooth).image, smooth))
    assert figures["bilinear"] < 0.08 < figures[published]
