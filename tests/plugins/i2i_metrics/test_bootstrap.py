from __future__ import annotations

import pytest
import torch

from i2i_metrics.bootstrap import around, bootstrap, proportion


def test_one_image_has_an_interval_of_no_width():
    score = bootstrap(torch.tensor([0.25]))
    assert (score.value, score.low, score.high, score.n) == (0.25, 0.25, 0.25, 1)


def test_the_interval_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    bootstrap(torch.randn(4, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    score, half = bootstrap(values), 1.96 * values.std().item() / 20
    assert (score.low, score.high) == pytest.approx((score.value - half, score.value + half), abs=0.1 * half)


def test_a_proportion_has_wilsons_interval():
    """Worked out by hand for 5 of 6: centre (5/6 + z²/12) / (1 + z²/6), and so on, with z = 1.96."""
    score = proportion(torch.tensor([1.0, 1, 1, 1, 1, 0]))
    assert (score.value, score.low, score.high, score.n) == (pytest.approx(5 / 6), *map(
        lambda end: pytest.approx(end, abs=5e-4), (0.4365, 0.9699)), 6)  # fmt: skip


def test_few_that_all_agree_are_not_certain():
    score = proportion(torch.ones(3))
    assert (score.value, score.high) == (1.0, 1.0)
    assert score.low == pytest.approx(0.4385, abs=5e-4)


def test_a_bootstrap_distribution_is_moved_to_its_score():
    score = around(1.0, torch.tensor([4.0, 5.0, 6.0, float("nan")]).double(), 3)
    assert (score.value, score.n) == (1.0, 3)
    assert (score.low, score.high) == pytest.approx((1 - 0.95, 1 + 0.95))


def test_a_distribution_of_nothing_leaves_no_width():
    score = around(1.0, torch.tensor([float("nan")]), 2)
    assert (score.low, score.high) == (1.0, 1.0)
