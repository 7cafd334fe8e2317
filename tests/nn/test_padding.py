from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.nn.padding import ReflectionPad2d, reflect

pytestmark = pytest.mark.usefixtures("either_way")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("shape", "padding"), [((2, 3, 4, 5), 1), ((1, 2, 4, 4), 3), ((2, 1, 7, 2), 1)])
def test_values_and_gradients_are_torchs(shape, padding, dtype):
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    actual, expected = reflect(x, padding), F.pad(x, (padding,) * 4, mode="reflect")
    assert torch.equal(actual, expected)
    weights = torch.randn_like(actual)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, weights)[0] for y in (actual, expected)))


def test_second_derivatives_are_torchs():
    x = torch.randn(2, 3, 4, 5, requires_grad=True)

    def steepness(pad):
        (gradient,) = torch.autograd.grad(pad(x).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    torch.testing.assert_close(steepness(lambda x: reflect(x, 2)), steepness(nn.ReflectionPad2d(2)))


def test_memory_order_does_not_matter():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(reflect(x.contiguous(memory_format=torch.channels_last), 1), reflect(x, 1))
    assert torch.equal(reflect(x.expand(2, 3, 4, 5), 1), reflect(x, 1))
    crossed = x[:1].expand(2, -1, -1, -1)
    assert torch.equal(reflect(crossed, 1), F.pad(crossed, (1, 1, 1, 1), mode="reflect"))


@pytest.mark.parametrize("channels", [3, 64])
@pytest.mark.parametrize("samples", [0, 2])
def test_the_order_of_a_gradient_does_not_matter(channels, samples):
    x = torch.randn(samples, channels, 4, 5, requires_grad=True)
    weights = torch.randn(samples, channels, 8, 9)
    orders = (torch.contiguous_format, torch.channels_last)
    grads = [torch.autograd.grad(reflect(x, 2), x, weights.contiguous(memory_format=order))[0] for order in orders]
    assert torch.equal(*grads)


@pytest.mark.parametrize("padding", [2, (1, 0, 2, 1)])
def test_the_layer_is_torchs(padding):
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(ReflectionPad2d(padding)(x), nn.ReflectionPad2d(padding)(x))


def test_more_than_the_map_is_refused_as_by_torch():
    with pytest.raises(RuntimeError, match="less than the corresponding input dimension"):
        reflect(torch.zeros(1, 1, 3, 3), 3)
