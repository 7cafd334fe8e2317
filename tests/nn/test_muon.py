"""Muon against its definition, in double precision."""

import pytest
import torch
from torch import nn

from i2i.nn.muon import Muon, orthogonal

# The published factors of a singular value, its cube and its fifth power, one iteration after the other.
FACTORS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


def defined(matrix):
    """Change the singular values of a matrix as the iterations do."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.norm()
    for a, b, c in FACTORS:
        values = a * values + b * values**3 + c * values**5
    return left @ values.diag() @ right


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (24, 24)])
def test_all_iterations_at_once_are_one_after_the_other(shape):
    matrices = torch.randn(2, *shape, dtype=torch.float64)
    expected = torch.stack([defined(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonal(matrices), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(orthogonal(matrices.float()).double(), expected, rtol=0, atol=1e-4)


def test_singular_values_over_five_orders_of_magnitude_lose_little_in_single_precision():
    left, right = (torch.linalg.qr(torch.randn(n, 32, dtype=torch.float64)).Q for n in (32, 200))
    matrix = left @ torch.logspace(0, -5, 32, dtype=torch.float64).diag() @ right.T
    difference = orthogonal(matrix[None].float())[0].double() - defined(matrix)
    assert difference.norm() < 1e-3 * defined(matrix).norm()


def test_a_gradient_of_zeros_changes_nothing():
    assert not orthogonal(torch.zeros(1, 8, 9)).any()


def muon(weights, **options):
    return Muon(
        [{"params": weights}], **{"lr": 0.1, "momentum": 0.9, "betas": (0.5, 0.999), "weight_decay": 0.0} | options
    )


def test_two_steps_follow_the_average_of_gradients():
    """Weights of one shape, of the same number of rows and columns in another, and of yet another shape."""
    shapes = [(8, 2, 3, 3), (8, 2, 3, 3), (8, 18), (6, 8)]
    start, *gradients = ([torch.randn(shape, dtype=torch.float64) for shape in shapes] for _ in range(3))
    weights = [nn.Parameter(values.clone()) for values in start]
    optimizer, averages, expected = muon(weights, weight_decay=0.5), [torch.zeros(()).double()] * 4, start
    for given in gradients:
        for weight, gradient in zip(weights, given, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
        averages = [0.9 * average + 0.1 * gradient for average, gradient in zip(averages, given, strict=True)]
        expected = [step(values, average) for values, average in zip(expected, averages, strict=True)]
    torch.testing.assert_close([weight.detach() for weight in weights], expected, rtol=0, atol=1e-10)


def step(values, average):
    """Take a step at a rate of 0.1 with a weight decay of 0.5."""
    matrix = average.flatten(1)
    return (1 - 0.1 * 0.5) * values - 0.1 * 0.2 * max(matrix.shape) ** 0.5 * defined(matrix).view_as(values)


@pytest.mark.parametrize("shape", [(8,), (3, 8), (8, 1, 3, 3), (1, 8, 3, 3), (4, 600)])
def test_other_weights_are_left_to_adamw(shape):
    ours, theirs = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    options = {"lr": 0.1, "betas": (0.5, 0.999), "weight_decay": 0.5}
    optimizers = muon([ours], **options), torch.optim.AdamW([theirs], fused=True, **options)
    for _ in range(3):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(ours, theirs)


def test_a_weight_without_a_gradient_stays():
    weights = [nn.Parameter(torch.ones(8, 8)) for _ in range(2)]
    weights[0].grad = torch.randn(8, 8)
    optimizer = muon(weights)
    optimizer.step()
    assert torch.equal(weights[1], torch.ones(8, 8))
    assert list(optimizer.state) == [weights[0]]
