from __future__ import annotations

import pytest
import torch

from i2i_metrics.paired import L1, SSIM, bootstrap


def test_l1_is_the_mean_absolute_difference():
    metric = L1()
    metric.update(
        real=torch.zeros(2, 3, 16, 16), fake=torch.full((2, 3, 16, 16), 0.5), source=torch.zeros(2, 3, 16, 16)
    )
    metric.update(
        real=torch.zeros(1, 3, 16, 16), fake=torch.full((1, 3, 16, 16), -2.0), source=torch.zeros(1, 3, 16, 16)
    )
    score = metric.compute()
    assert (score.value, score.n) == (pytest.approx(1.0), 3)
    assert 0.5 <= score.low < score.value < score.high <= 2.0


def test_ssim_is_one_for_equal_images_and_falls_with_noise():
    torch.manual_seed(0)
    real = torch.rand(2, 3, 16, 16) * 2 - 1
    equal, noisy = SSIM(), SSIM()
    equal.update(real=real, fake=real, source=real)
    noisy.update(real=real, fake=(real + 0.3 * torch.randn_like(real)).clamp(-1, 1), source=real)
    assert equal.compute().value == pytest.approx(1.0, abs=1e-5)
    assert noisy.compute().value < 0.95


def test_one_image_has_an_interval_of_no_width():
    score = bootstrap(torch.tensor([0.25]))
    assert (score.value, score.low, score.high, score.n) == (0.25, 0.25, 0.25, 1)


def test_the_interval_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    bootstrap(torch.randn(4, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)
