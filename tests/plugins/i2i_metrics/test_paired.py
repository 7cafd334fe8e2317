from __future__ import annotations

import pytest
import torch

from i2i.contracts.metric import Case, Images
from i2i_metrics.paired import L1, SSIM

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
