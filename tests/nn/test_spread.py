"""The spread of a batch as a map that discriminators see."""

from __future__ import annotations

import pytest
import torch

from i2i.nn import MinibatchStd
from i2i.nn.calls import as_calls


def test_the_map_holds_the_mean_over_channels_of_the_deviation_at_each_place():
    x = torch.tensor([[[[1.0, 0.0]], [[5.0, 2.0]]], [[[3.0, 0.0]], [[11.0, 4.0]]]], dtype=torch.double)
    y = MinibatchStd()(x)
    assert torch.equal(y[:, :2], x)
    # differences of 2 and 6 at the first place, of 0 and 2 at the second, each over the root of 2
    expected = torch.tensor([[4.0, 1.0]], dtype=torch.double).expand(2, 1, 1, 2) / 2**0.5
    torch.testing.assert_close(y[:, 2:], expected, rtol=0, atol=1e-4)
    assert y.dtype == torch.double


def test_gradients_are_finite_where_samples_are_equal():
    x = torch.ones(2, 3, 2, 2, requires_grad=True)
    MinibatchStd()(x).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    torch.manual_seed(0)
    x = torch.randn(4, 3, 2, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(MinibatchStd(), x)


def test_real_images_and_fakes_in_one_batch_have_a_map_each():
    real, fake = torch.randn(4, 3, 5, 5), 0.1 * torch.randn(4, 3, 5, 5)
    layer = MinibatchStd()
    with as_calls(2):
        both = layer(torch.cat([real, fake]))
    torch.testing.assert_close(both, torch.cat([layer(real), layer(fake)]))
    assert both[0, 3].mean() > 5 * both[4, 3].mean()


def test_batches_of_different_sizes_have_equal_maps_on_average():
    torch.manual_seed(0)
    x = torch.randn(4000, 1, 2, 2)
    squares = [torch.stack([MinibatchStd()(part)[0, 1].square().mean() for part in x.split(n)]) for n in (2, 8)]
    assert float(squares[0].mean()) == pytest.approx(float(squares[1].mean()), rel=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float])
def test_a_sample_alone_has_no_spread(dtype):
    y = MinibatchStd()(torch.randn(1, 3, 2, 2).to(dtype))
    assert y.dtype == dtype
    assert y[:, 3].abs().max() < 1e-3
