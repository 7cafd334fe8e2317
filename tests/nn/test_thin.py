"""Convolutions from or to few channels are those of torch, with its gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.nn import ImageConv2d, ReflectionConv2d, entry_stage, joint, kernels, thin
from i2i.nn.thin import convolve_thin, suits_thin
from tests.nn.accuracy import relative_error

pytestmark = pytest.mark.usefixtures("built_kernels")
CASES = [  # x, weight, stride
    ((2, 3, 22, 34), (5, 3, 7, 7), 1),
    ((1, 1, 12, 12), (16, 1, 9, 9), 1),
    ((2, 5, 16, 22), (12, 5, 8, 8), 2),
]


@pytest.fixture(autouse=True)
def _any_size(monkeypatch) -> None:
    monkeypatch.setattr(thin, "_LEAST_SIDE", 1)


def _drawn(shape, weight):
    return torch.randn(shape, requires_grad=True), torch.randn(weight, requires_grad=True)


@pytest.mark.parametrize(("shape", "weight", "stride"), CASES)
def test_values_and_gradients_are_those_of_torch(shape, weight, stride):
    x, weight = _drawn(shape, weight)
    assert suits_thin(x, weight, stride)
    actual, expected = (compute(x, weight, stride=stride) for compute in (convolve_thin, F.conv2d))
    assert torch.equal(actual, expected)
    grad = torch.randn_like(actual)
    pairs = zip(*(torch.autograd.grad(y, [x, weight], grad) for y in (actual, expected)), strict=True)
    assert all(relative_error(*pair) < 1e-6 for pair in pairs)


@pytest.mark.parametrize(("shape", "weight", "stride"), CASES)
def test_second_derivatives_are_those_of_torch(shape, weight, stride):
    x, weight = _drawn(shape, weight)
    results = []
    for compute in (convolve_thin, F.conv2d):
        (first,) = torch.autograd.grad(compute(x, weight, stride=stride).square().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(first.square().sum(), [x, weight]))
    assert all(relative_error(*pair) < 1e-6 for pair in zip(*results, strict=True))


@pytest.mark.parametrize("used", ["x", "weight"])
def test_no_gradient_is_computed_that_a_backward_pass_does_not_use(used, monkeypatch):
    leaves = dict(zip(("x", "weight"), _drawn(*CASES[0][:2]), strict=True))
    y, computed = convolve_thin(*leaves.values(), 1), []
    compute, by_torch = thin._input_gradient, thin.gradients
    monkeypatch.setattr(thin, "_input_gradient", lambda *given: computed.append("x") or compute(*given))
    monkeypatch.setattr(thin, "gradients", lambda *given: computed.append(given[-1]) or by_torch(*given))
    torch.autograd.backward([y.sum()], inputs=[leaves[used]])
    assert computed == {"x": [[False, False], "x"], "weight": [[False, True]]}[used]


def test_other_convolutions_do_not_suit(monkeypatch):
    x, weight = _drawn((1, 3, 20, 20), (8, 3, 7, 7))
    assert suits_thin(x, weight, 1)
    assert not suits_thin(x, weight, 2)
    assert not suits_thin(x.detach(), weight, 1)  # an image that is not a translation
    assert not suits_thin(x[..., :19], weight, 1)
    assert not suits_thin(*_drawn((1, 5, 20, 20), (8, 5, 7, 7)), 1)
    assert not suits_thin(*_drawn((1, 3, 20, 20), (8, 3, 3, 3)), 1)
    assert not suits_thin(*_drawn((1, 3, 20, 20), (8, 3, 7, 9)), 1)
    assert not suits_thin(x.double(), weight.double(), 1)
    with torch.no_grad():
        assert not suits_thin(x, weight, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert not suits_thin(x, weight, 1)
    last = _drawn((1, 9, 20, 20), (12, 9, 8, 8))
    assert suits_thin(*last, 2)
    assert not suits_thin(*_drawn((1, 9, 20, 20), (17, 9, 8, 8)), 2)
    monkeypatch.setattr(thin, "_LEAST_SIDE", 22)
    assert not suits_thin(*last, 2)


@pytest.mark.parametrize("layer", [entry_stage(8), ReflectionConv2d(3, 8, 7), ImageConv2d(8, 3, bias=True)])
def test_first_and_last_layers_choose_it(layer, monkeypatch):
    x = torch.randn(2, next(layer.parameters()).shape[1], 16, 20, requires_grad=True)
    chosen = []
    monkeypatch.setattr(joint, "convolve_thin", lambda *given: chosen.append(given) or convolve_thin(*given))
    y = layer(x)
    (actual,) = torch.autograd.grad(y.square().sum(), x)
    assert len(chosen) == 1
    monkeypatch.setattr(kernels, "_library", lambda: None)
    expected = layer(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual, *torch.autograd.grad(expected.square().sum(), x), rtol=1e-4, atol=1e-4)
