from __future__ import annotations

import pytest
import torch
from torchmetrics.functional import image

from i2i.contracts.metric import Case, Images
from i2i_metrics.paired import L1, PSNR, SSIM, MultiScaleSSIM
from tests.wording import check

from .conftest import built

CPU = torch.device("cpu")


def case(fake, truth):
    """Return a case whose images come in two chunks."""
    names = [str(i) for i in range(len(fake))]
    fakes, truths = (Images(lambda own=own: iter(own.split(2)), names) for own in (fake, truth))
    return Case("man", fakes, truths, truths, truths)


def test_l1_is_the_mean_absolute_difference():
    truth = torch.zeros(3, 3, 16, 16)
    fake = torch.tensor([0.5, 0.5, -2.0]).reshape(3, 1, 1, 1).expand_as(truth)
    score = built(L1).score(case(fake, truth))
    assert (score.value, score.n) == (pytest.approx(1.0), 3)
    assert 0.5 <= score.low < score.value < score.high <= 2.0


def test_ssim_is_one_for_equal_images_and_falls_with_noise():
    torch.manual_seed(0)
    truth = torch.rand(2, 3, 16, 16) * 2 - 1
    metric, noisy = built(SSIM), (truth + 0.3 * torch.randn_like(truth)).clamp(-1, 1)
    assert metric.score(case(truth, truth)).value == pytest.approx(1.0, abs=1e-5)
    assert metric.score(case(noisy, truth)).value < 0.95


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(3, 3, 180, 176, generator=generator) * 2 - 1
    return (truth + 0.3 * torch.randn(truth.shape, generator=generator)).clamp(-1, 1), truth


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (SSIM, lambda x, y: image.structural_similarity_index_measure(x, y, data_range=2.0)),
        (
            MultiScaleSSIM,
            lambda x, y: image.multiscale_structural_similarity_index_measure(x / 2 + 0.5, y / 2 + 0.5, data_range=1.0),
        ),
        (PSNR, lambda x, y: image.peak_signal_noise_ratio(x, y, data_range=2.0, dim=(1, 2, 3))),
    ],
)
def test_functionals_are_those_of_torchmetrics(pair, metric, expected):
    score = built(metric).score(case(*pair))
    assert score.value == pytest.approx(expected(*pair).item(), rel=1e-5)
    assert score.low < score.value < score.high


def test_the_signal_to_noise_ratio_against_a_value_worked_out_by_hand():
    truth = torch.zeros(2, 3, 8, 8)
    metric = built(PSNR)
    assert metric.score(case(truth + 0.2, truth)).value == pytest.approx(20)  # 20 lg (2 / 0.2)
    assert metric.score(case(truth, truth)).value == 100


def test_images_that_are_too_small_are_refused_by_their_side():
    small, large = torch.zeros(1, 3, 200, 175), torch.zeros(1, 3, 200, 176)
    metric = built(MultiScaleSSIM)
    check(metric.obstacle(case(small, small)), "175 px", "176 px")
    assert metric.obstacle(case(large, large)) == ""
