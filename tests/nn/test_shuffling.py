from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.nn import shuffle_pixels

pytestmark = pytest.mark.usefixtures("either_way")


def _by_torch(x, cropped):
    y = F.pixel_shuffle(x, 2)
    return y[..., 1:-1, 1:-1] if cropped else y


@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(2, 8, 3, 5), (1, 4, 2, 2), (1, 256, 33, 17)], ids=str)
def test_values_and_gradients_are_torchs(shape, dtype, cropped):
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    actual, expected = shuffle_pixels(x, cropped=cropped), _by_torch(x, cropped)
    assert torch.equal(actual, expected)
    weights = torch.randn_like(actual)
    assert torch.equal(*(torch.autograd.grad(y, x, weights)[0] for y in (actual, expected)))


@pytest.mark.parametrize("cropped", [False, True])
def test_second_derivatives_are_torchs(cropped):
    x = torch.randn(2, 8, 3, 5, requires_grad=True)

    def steepness(shuffle):
        (gradient,) = torch.autograd.grad(shuffle(x, cropped=cropped).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    torch.testing.assert_close(steepness(shuffle_pixels), steepness(_by_torch))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_memory_order_does_not_matter(order):
    x = torch.randn(2, 8, 3, 5)
    assert torch.equal(shuffle_pixels(x.contiguous(memory_format=order)), F.pixel_shuffle(x, 2))
    x.requires_grad_()
    weights = torch.randn(2, 2, 6, 10)
    (actual,) = torch.autograd.grad(shuffle_pixels(x), x, weights.contiguous(memory_format=order))
    assert torch.equal(actual, F.pixel_unshuffle(weights, 2))
