from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg
import torch

from i2i_metrics.bootstrap import alike
from i2i_metrics.distances import Frechet, Kernel, _within, frechet_distance, kernel_distance

from .conftest import built, case, flat


def sqrtm_formula(real, fake):
    """Return the Frechet distance as its definition has it."""
    (a, s), (b, t) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (real.numpy(), fake.numpy()))
    root = scipy.linalg.sqrtm(s @ t)
    return float(((a - b) ** 2).sum() + np.trace(s + t - 2 * root.real))


@pytest.mark.parametrize(("n", "m", "features"), [(50, 60, 8), (20, 90, 12), (9, 9, 8)])
def test_frechet_distance_is_that_of_its_definition(noise, n, m, features):
    real, fake = noise(n, features).double(), (noise(m, features, seed=1) * 1.3 + 0.2).double()
    assert frechet_distance(real, fake) == pytest.approx(sqrtm_formula(real, fake), rel=1e-6)


def test_with_fewer_images_than_features_the_root_is_of_the_same_matrix(noise):
    """scipy's root of a singular matrix is no good to compare with: the eigenvalues of the product are."""
    real, fake = noise(6, 40).double(), noise(5, 40, seed=1).double()
    s, t = (np.cov(x.numpy(), rowvar=False) for x in (real, fake))
    roots = np.sqrt(np.linalg.eigvals(s @ t).real.clip(min=0)).sum()
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum().item() + np.trace(s) + np.trace(t) - 2 * roots
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-5)


def test_equal_sets_have_no_frechet_distance(noise):
    assert frechet_distance(noise(7, 5), noise(7, 5)) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_is_the_unbiased_estimator_written_out(noise):
    real, fake = noise(4, 3).double(), noise(5, 3, seed=1).double()

    def kernel(x, y):
        return (float(x @ y) / 3 + 1) ** 3

    within = sum(
        sum(kernel(x, y) for x, y in itertools.permutations(own, 2)) / (len(own) * (len(own) - 1))
        for own in (real, fake)
    )
    between = sum(kernel(x, y) for x in real for y in fake) / 20
    assert kernel_distance(real, fake) == pytest.approx(within - 2 * between)


def test_copies_of_a_design_do_not_meet(noise):
    """Three designs, of two, one and one images; the resample has the first one twice: written out copy by copy."""
    x, designs, drawn = noise(4, 3).double(), "aabc", {"a": 2, "b": 1, "c": 0}
    kernel = (x @ x.T / 3 + 1) ** 3
    copies = [(i, copy) for i, design in enumerate(designs) for copy in range(drawn[design])]
    met = [kernel[i, j] for (i, first), (j, second) in itertools.permutations(copies, 2)
           if designs[i] != designs[j] or first == second]  # fmt: skip
    often = torch.tensor([[drawn[design] for design in designs]]).double()
    found = _within(kernel.clone().fill_diagonal_(0), often, alike(designs))
    assert found.tolist() == pytest.approx([torch.stack(met).mean().item()])


def test_kernel_distance_does_not_depend_on_how_many_images_there_are(noise):
    """Sets from one distribution: the mean over draws is 0 for few as for many."""
    few, many = ([kernel_distance(noise(n, 8, seed=2 * s), noise(n, 8, seed=2 * s + 1)) for s in range(200)]
                 for n in (3, 30))  # fmt: skip
    for found in (few, many):
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_subsets_of_a_thousand_are_averaged(noise):
    real, fake = noise(1100, 4).double(), noise(1050, 4, seed=1).double() + 0.3
    assert kernel_distance(real, fake) == pytest.approx(kernel_distance(real[:1000], fake[:1000]), rel=0.2)
    before = torch.get_rng_state()
    assert kernel_distance(real, fake) == kernel_distance(real, fake)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("metric", [Kernel, Frechet])
@pytest.mark.parametrize("n", [2, 5])
def test_few_images_have_a_finite_score_with_its_interval_around_it(colours, noise, metric, n):
    score = built(metric).score(case(noise(n, 3, 32, 32), real=noise(3, 3, 32, 32, seed=1)))
    assert score.low <= score.value <= score.high < float("inf")
    assert score.n == n
    assert (metric.fewest, metric.fewest_real) == (2, 2)


@pytest.mark.parametrize("metric", [Kernel, Frechet])
def test_what_is_unlike_the_drawings_is_farther(colours, metric):
    real = flat(0.1, 0.2, 0.3, 0.4)
    near, far = (built(metric).score(case(flat(*values), real=real)).value
                 for values in ((0.15, 0.25, 0.35), (-0.9, -0.8, -0.7)))  # fmt: skip
    assert near < far


def test_the_network_and_its_resizing_are_told(colours):
    metric = built(Kernel)
    assert (metric.network, metric.resize) == ("mean colours", "none")
