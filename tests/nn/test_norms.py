"""One-pass normalisation against the formulas as they are published."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from i2i.nn.moments import channel_moments, scale_channels
from i2i.nn.norms import InstanceNorm, LayerInstanceNorm
from i2i_unit.layers import SampleNorm

pytestmark = pytest.mark.usefixtures("either_way")

SHAPE = (2, 3, 4, 5)
TOLERANCE = {torch.double: 1e-10, torch.float: 1e-5}


def adalin(norm: LayerInstanceNorm, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """U-GAT-IT, section 2.1.2, eq. 1."""
    var, mean = torch.var_mean(x, (2, 3), keepdim=True)
    layer_var, layer_mean = torch.var_mean(x, (1, 2, 3), keepdim=True)
    by_channel, by_layer = (x - mean) / (var + 1e-5).sqrt(), (x - layer_mean) / (layer_var + 1e-5).sqrt()
    return gamma[:, :, None, None] * (norm.rho * by_channel + (1 - norm.rho) * by_layer) + beta[:, :, None, None]


def iln(norm: LayerInstanceNorm, x: Tensor) -> Tensor:
    return adalin(norm, x, norm.gamma[:, :, 0, 0], norm.beta[:, :, 0, 0])


def sample_norm(norm: SampleNorm, x: Tensor) -> Tensor:
    std, mean = torch.std_mean(x, (1, 2, 3), keepdim=True)
    return norm.gamma[:, None, None] * (x - mean) / (std + 1e-5) + norm.beta[:, None, None]


def case(name, dtype):
    """Return a layer, its published formula, and its inputs."""
    torch.manual_seed(0)
    norm, plain = {
        "instance": (InstanceNorm(), lambda norm, x: F.instance_norm(x)),
        "adalin": (LayerInstanceNorm(3, 0.7, affine=False), adalin),
        "iln": (LayerInstanceNorm(3, 0.3, affine=True), iln),
        "sample": (SampleNorm(3), sample_norm),
    }[name]
    x = (torch.randn(SHAPE) * 2 + torch.randn(2, 3, 1, 1)).to(dtype)
    steering = [torch.randn(2, 3, dtype=dtype) for _ in range(2)] if name == "adalin" else []
    norm = norm.to(dtype)
    return norm, partial(plain, norm), [tensor.requires_grad_() for tensor in (x, *steering)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", ["instance", "adalin", "iln", "sample"])
class TestNorms:
    def test_values_and_gradients_are_those_of_the_formula(self, name, dtype):
        norm, plain, inputs = case(name, dtype)
        actual, expected = norm(*inputs), plain(*inputs)
        close = partial(torch.testing.assert_close, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        close(actual, expected)
        weights, learned = torch.randn_like(actual), (*inputs, *norm.parameters())
        close(torch.autograd.grad(actual, learned, weights), torch.autograd.grad(expected, learned, weights))

    def test_it_computes_the_same_without_gradients(self, name, dtype):
        norm, _, inputs = case(name, dtype)
        with torch.no_grad():
            assert torch.equal(norm(*inputs), norm(*inputs))
            torch.testing.assert_close(norm(*inputs), norm(*inputs).detach())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-9), (torch.float, 1e-4)], ids=str)
@pytest.mark.parametrize("name", ["instance", "adalin", "iln", "sample"])
def test_second_derivatives_are_those_of_the_formula(name, dtype, tolerance):
    norm, plain, inputs = case(name, dtype)
    learned = (*inputs, *norm.parameters())

    def steepness(y):
        gradients = torch.autograd.grad(y.tanh().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), learned)

    torch.testing.assert_close(steepness(norm(*inputs)), steepness(plain(*inputs)), rtol=tolerance, atol=tolerance)


def test_moments_and_scaling_pass_torchs_own_check():
    x, scale, shift = torch.randn(SHAPE, dtype=torch.double), *torch.randn(2, 2, 3, dtype=torch.double)
    inputs = [tensor.requires_grad_() for tensor in (x, scale, shift)]
    assert torch.autograd.gradcheck(channel_moments, inputs[0])
    assert torch.autograd.gradcheck(scale_channels, inputs)
    assert torch.autograd.gradgradcheck(channel_moments, inputs[0])
    assert torch.autograd.gradgradcheck(scale_channels, inputs)


def test_moments_far_from_zero_stay_accurate_in_float32():
    x = torch.randn(2, 3, 64, 64) + 100
    squares, mean = channel_moments(x)
    var, expected = torch.var_mean(x.double(), (2, 3), correction=0)
    torch.testing.assert_close(squares / 4096, var.float(), rtol=1e-4, atol=0)
    torch.testing.assert_close(mean, expected.float())


@pytest.mark.parametrize("layer", [InstanceNorm(), LayerInstanceNorm(3, 0.5, affine=True), SampleNorm(3)])
def test_flat_maps_become_no_nan(layer):
    x = torch.full(SHAPE, 1234.5678).requires_grad_()
    layer(x).sum().backward()
    assert x.grad.isfinite().all()


def test_second_derivatives_pass_what_is_frozen():
    norm, x = LayerInstanceNorm(3, 0.5, affine=True).requires_grad_(False), torch.randn(SHAPE, requires_grad=True)
    (gradient,) = torch.autograd.grad(norm(x).tanh().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None
    assert norm.rho.grad is None


def test_memory_order_does_not_matter():
    norm, x = InstanceNorm(), torch.randn(SHAPE)
    torch.testing.assert_close(norm(x.contiguous(memory_format=torch.channels_last)), norm(x))


@pytest.mark.parametrize("name", ["instance", "adalin", "iln", "sample"])
def test_expanded_maps_and_gradients_are_normalised_alike(name):
    norm, plain, inputs = case(name, torch.double)
    maps = torch.randn(1, 1, 4, 5, dtype=torch.double).expand(SHAPE).requires_grad_()
    for _ in range(50):  # wrong values depend on what the memory held before
        torch.full(SHAPE, torch.nan, dtype=torch.double)
        grads = [torch.autograd.grad(layer(maps, *inputs[1:]).sum(), maps)[0] for layer in (norm, plain)]
        torch.testing.assert_close(norm(maps, *inputs[1:]), plain(maps, *inputs[1:]))
        torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["instance", "adalin", "iln", "sample"])
def test_half_precision_is_computed_in_float32(name):
    norm, plain, inputs = case(name, torch.float)
    rough = inputs[0].detach().bfloat16().requires_grad_()
    actual = norm(rough, *inputs[1:])
    actual.float().sum().backward()
    assert rough.grad.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), plain(rough.float(), *inputs[1:]), rtol=1e-2, atol=1e-2)


def test_what_it_returns_can_be_activated_in_place():
    norm, x = InstanceNorm(), torch.randn(SHAPE, dtype=torch.double, requires_grad=True)
    actual = torch.autograd.grad(F.relu(norm(x), inplace=True).square().sum(), x)
    torch.testing.assert_close(actual, torch.autograd.grad(F.relu(F.instance_norm(x)).square().sum(), x))


def test_a_single_pixel_has_no_variance():
    with pytest.raises(ValueError, match=r"more than one pixel per channel, but got \(2, 3, 1, 1\)"):
        InstanceNorm()(torch.zeros(2, 3, 1, 1))


def test_it_can_be_copied_after_a_step_and_keeps_its_keys():
    norm = LayerInstanceNorm(3, 0.5, affine=True)
    norm(torch.randn(SHAPE)).sum().backward()
    assert list(copy.deepcopy(norm).state_dict()) == ["rho", "gamma", "beta"]
    assert not InstanceNorm().state_dict()
