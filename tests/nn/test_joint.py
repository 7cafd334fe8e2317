"""Convolutions by matrix products, against torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.nn import joint
from i2i.nn.joint import convolve
from i2i.nn.spectral import SpectralConv2d


@pytest.fixture
def convolutions(monkeypatch):
    """Let products serve small weights, too, and return the list of torch's convolutions that were called."""
    calls = []
    monkeypatch.setattr(joint, "_LEAST_WEIGHTS", 0)
    plain = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **options: calls.append(args) or plain(*args, **options))
    return calls


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("kernel", "stride"), [((4, 4), 1), ((3, 2), (2, 1)), ((1, 1), 1), ((4, 4), (2, 2))])
@pytest.mark.parametrize("groups", [1, 3])
def test_products_equal_convolutions(groups, kernel, stride, biased, convolutions):
    torch.manual_seed(0)
    x = torch.randn(2 * groups, 3, 5, 6, dtype=torch.double, requires_grad=True)
    weights = torch.randn(groups, 4, 3, *kernel, dtype=torch.double, requires_grad=True)
    biases = torch.randn(groups, 4, dtype=torch.double, requires_grad=True) if biased else None
    actual = convolve(x, weights, biases, stride)
    assert not convolutions
    each = biases if biased else [None] * groups
    expected = torch.cat([F.conv2d(*share, stride) for share in zip(x.chunk(groups), weights, each, strict=True)])
    torch.testing.assert_close(actual, expected)
    cotangent, inputs = torch.randn_like(actual), [x, weights, *([biases] if biased else [])]
    torch.testing.assert_close(*(torch.autograd.grad(y, inputs, cotangent) for y in (actual, expected)))


@pytest.mark.parametrize(
    ("shape", "weights", "padding"),
    [
        ((1, 3, 12, 12), (1, 4, 3, 4, 4), 0),  # 81 positions
        ((1, 3, 5, 5), (1, 4, 3, 4, 4), 1),
        ((1, 3, 5, 5), (1, 4, 3, 3, 3), "same"),
        ((0, 3, 5, 5), (1, 4, 3, 4, 4), 0),
    ],
)
def test_torch_convolves_the_rest(shape, weights, padding, convolutions):
    convolve(torch.zeros(shape), torch.zeros(weights), padding=padding)
    assert len(convolutions) == 1


def test_few_weights_are_convolved():
    x, weights = torch.zeros(1, 3, 5, 5), torch.zeros(1, 4, 3, 4, 4)
    assert not joint._suits_products(x, weights, 1)
    assert joint._suits_products(torch.zeros(1, 256, 5, 5), torch.zeros(1, 256, 256, 4, 4), 1)


def test_spectral_norm_has_the_same_gradients_by_products(monkeypatch):
    torch.manual_seed(0)
    layer, x = SpectralConv2d(8, 4, 4, stride=2).double().eval(), torch.randn(2, 8, 6, 6, dtype=torch.double)
    gradients = []
    for least in (0, 2**18):
        monkeypatch.setattr(joint, "_LEAST_WEIGHTS", least)
        gradients.append(torch.autograd.grad(layer(x).square().sum(), list(layer.parameters())))
    torch.testing.assert_close(*gradients)
