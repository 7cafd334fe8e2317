from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.nn import ReflectionConv2d
from i2i_unit.layers import ResidualBlock, SampleNorm, UpsamplingConv2d, normed


def test_norm_by_hand() -> None:
    norm = SampleNorm(2)
    with torch.no_grad():
        norm.gamma.copy_(torch.tensor([2.0, 3.0]))
        norm.beta.copy_(torch.tensor([0.5, -1.0]))
    x = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 2, 1, 2)
    std = (14 / 3) ** 0.5 + 1e-5  # mean 3, squares 4 + 1 + 0 + 9, unbiased, eps on std
    expected = torch.tensor([0.5 - 4 / std, 0.5 - 2 / std, -1.0, -1 + 9 / std]).view(1, 2, 1, 2)
    torch.testing.assert_close(norm(x), expected)


def test_norm_adds_eps_to_the_deviation() -> None:
    norm = SampleNorm(1)
    torch.nn.init.ones_(norm.gamma)
    x = torch.tensor([-1e-5, 0.0, 1e-5]).view(1, 1, 1, 3)
    torch.testing.assert_close(norm(x).flatten(), torch.tensor([-0.5, 0.0, 0.5]))


def test_norm_starts_with_gamma_between_0_and_1() -> None:
    gamma = SampleNorm(1000).gamma
    assert 0 <= gamma.min() < 0.02
    assert 0.98 < gamma.max() < 1
    assert gamma.mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 5), (3, 4), (8, 8)])
def test_upsampling_convolution_equals_its_definition(height: int, width: int) -> None:
    layer = UpsamplingConv2d(3, 2).double()
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    enlarged = F.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = F.conv2d(F.pad(enlarged, (2, 2, 2, 2), mode="reflect"), layer.weight, layer.bias)
    actual = layer(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    cotangent, inputs = torch.randn_like(expected), (x, layer.weight, layer.bias)
    gradients = [torch.autograd.grad(y, inputs, cotangent) for y in (actual, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


def test_norms_have_no_parameters_and_no_statistics() -> None:
    assert [key for key in normed(ReflectionConv2d(1, 1, 3)).state_dict() if not key.startswith("0.")] == []


def test_residual_block_adds_without_activation() -> None:
    block, x = ResidualBlock(2), torch.randn(1, 2, 4, 4)
    first, _, _, second, _ = block.body
    inner = F.relu(F.instance_norm(first(x)))
    torch.testing.assert_close(block(x), x + F.instance_norm(second(inner)))
