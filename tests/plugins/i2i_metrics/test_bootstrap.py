from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from i2i import Metric
from i2i.registry.registry import installed
from i2i_metrics.accuracy import GroupAccuracy
from i2i_metrics.bootstrap import around, bootstrap, counts, proportion

from .conftest import built, case, images


def each(n):
    """n images of as many designs."""
    return [f"design {number}" for number in range(n)]


def test_one_image_has_an_interval_of_no_width():
    score = bootstrap(torch.tensor([0.25]), each(1))
    assert (score.value, score.low, score.high, score.n) == (0.25, 0.25, 0.25, 1)


def test_the_interval_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    bootstrap(torch.randn(4, generator=torch.Generator().manual_seed(1)), each(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    score, half = bootstrap(values, each(400)), 1.96 * values.std().item() / 20
    assert (score.low, score.high) == pytest.approx((score.value - half, score.value + half), abs=0.1 * half)


def test_a_proportion_has_wilsons_interval():
    """Worked out by hand for 5 of 6: centre (5/6 + z²/12) / (1 + z²/6), and so on, with z = 1.96."""
    score = proportion(torch.tensor([1.0, 1, 1, 1, 1, 0]), each(6))
    assert (score.value, score.low, score.high, score.n) == (pytest.approx(5 / 6), *map(
        lambda end: pytest.approx(end, abs=5e-4), (0.4365, 0.9699)), 6)  # fmt: skip


def test_few_that_all_agree_are_not_certain():
    score = proportion(torch.ones(3), each(3))
    assert (score.value, score.high) == (1.0, 1.0)
    assert score.low == pytest.approx(0.4385, abs=5e-4)


def test_variants_of_a_design_add_nothing_to_the_certainty_of_a_mean():
    """Six equal variants of each design have the interval of the designs."""
    values = torch.randn(8, generator=torch.Generator().manual_seed(1))
    variants = [design for design in each(8) for _ in range(6)]
    once, six = bootstrap(values, each(8)), bootstrap(values.repeat_interleave(6), variants)
    assert (six.low, six.high) == pytest.approx((once.low, once.high))
    assert (once.n, six.n) == (8, 48)


def test_one_design_has_an_interval_of_no_width():
    score = bootstrap(torch.tensor([0.1, 0.2, 0.7]), ["kid"] * 3)
    assert score.low == pytest.approx(score.high)
    assert score.low <= score.value <= score.high


def test_resamples_draw_whole_designs():
    drawn = counts(["a", "b", "a", "b", "b"], resamples=50)
    assert torch.equal(drawn[:, 0], drawn[:, 2])
    assert torch.equal(drawn[:, 1], drawn[:, 4])
    assert (drawn[:, 0] + drawn[:, 1] == 2).all()
    assert drawn[:, 0].unique().tolist() == [0, 1, 2]


def test_a_share_is_no_surer_for_variants_or_for_a_miss():
    variants = [design for design in each(6) for _ in range(6)]
    hits = torch.ones(36)
    sure, of_designs = proportion(hits, variants), proportion(torch.ones(6), each(6))
    assert (sure.low, sure.high, sure.n) == (of_designs.low, of_designs.high, 36)
    hits[0] = 0
    assert proportion(hits, variants).low < sure.low


def test_six_variants_of_one_design_say_little_of_a_share():
    score = proportion(torch.ones(6), ["kid"] * 6)
    assert (score.low, score.high, score.n) == (pytest.approx(0.2065, abs=5e-4), 1.0, 6)  # Wilson, 1 of 1, by hand


@pytest.mark.parametrize("name", ["diversity", "frechet", "kernel", "l1", "lpips", "ssim", "structure"])
def test_a_metric_knows_no_interval_of_one_design(noise, name):
    metric = installed().get(Metric, name)
    ready, (fake, real) = built(metric), (noise(4, 3, 64, 64, seed=seed) for seed in (0, 1))
    for names, known in ((each(4), True), (["kid"] * 4, False)):
        judged = replace(case(fake, source=real, truth=real, names=names), real=images(real, names))
        assert ready.score(judged).has_interval == known


def test_group_accuracy_counts_designs(noise):
    drawings = {"man": images(noise(3, 3, 64, 64)), "kid": images(noise(3, 3, 64, 64, seed=1))}
    judged = case(noise(4, 3, 64, 64, seed=2), drawings=drawings, names=["kid"] * 4)
    score = built(GroupAccuracy).score(judged)
    assert score == replace(proportion(torch.tensor([score.value]), ["kid"]), n=4)


def test_a_bootstrap_distribution_is_moved_to_its_score():
    score = around(1.0, torch.tensor([4.0, 5.0, 6.0, float("nan")]).double(), 3)
    assert (score.value, score.n) == (1.0, 3)
    assert (score.low, score.high) == pytest.approx((1 - 0.95, 1 + 0.95))


def test_a_distribution_of_nothing_leaves_no_width():
    score = around(1.0, torch.tensor([float("nan")]), 2)
    assert (score.low, score.high) == (1.0, 1.0)
