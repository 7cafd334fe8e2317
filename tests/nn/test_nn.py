from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.nn.calls import as_calls
from i2i.nn.convolutions import DoublingConv2d, ImageConv2d, ReflectionConv2d
from i2i.nn.spectral import SpectralConv2d, SpectralLinear


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("size", [(2, 2), (3, 5), (8, 4)])
def test_doubling_convolution_equals_upsample_pad_convolve(size, upsampling, side, bias):
    conv = DoublingConv2d(3, 5, side, bias, upsampling).double()
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    enlarged = F.pad(F.interpolate(x, scale_factor=2, mode=upsampling), (side // 2,) * 4, mode="replicate")
    _same_with_gradients(conv(x), F.conv2d(enlarged, conv.weight, conv.bias), (x, *conv.parameters()))


def test_doubling_convolution_pads_nearest_neighbours_as_published():
    conv, x = DoublingConv2d(3, 5).double(), torch.randn(2, 3, 4, 6, dtype=torch.double)
    published = F.conv2d(F.pad(F.interpolate(x, scale_factor=2), (1,) * 4, mode="reflect"), conv.weight)
    torch.testing.assert_close(conv(x), published)


@pytest.mark.parametrize(("upsampling", "even"), [("nearest", False), ("bilinear", True)])
def test_only_bilinear_doubling_leaves_no_pattern_of_two_pixels(upsampling, even):
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    steps = DoublingConv2d(1, 1, upsampling=upsampling)(ramp)[0, 0, 8, 4:-4].diff()
    assert bool(steps.max() - steps.min() < 1e-4) is even


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (6, 10)])
def test_image_convolution_equals_pad_convolve(size, bias):
    conv = ImageConv2d(4, 3, bias).double()
    x = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    plain = F.conv2d(F.pad(x, (3,) * 4, mode="reflect"), conv.weight, conv.bias)
    _same_with_gradients(conv(x), plain, (x, *conv.parameters()))


@pytest.mark.parametrize(("side", "stride", "padding"), [(7, 1, 3), (4, 2, 1), (3, 1, 1)])
def test_reflection_convolution_equals_torchs(side, stride, padding):
    conv, x = ReflectionConv2d(2, 3, side, stride).double(), torch.randn(1, 2, 8, 8, dtype=torch.double)
    plain = nn.Conv2d(2, 3, side, stride, padding, padding_mode="reflect").double()
    plain.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x), plain(x))
    assert conv(x).shape[-1] == 8 // stride


@pytest.mark.parametrize("layer", [partial(ReflectionConv2d, 2, 3, 3), partial(ImageConv2d, 2, 3, bias=True)])
def test_several_convolutions_at_once_are_each_on_its_share(layer):
    first, second = layer().double(), layer().double()
    x = torch.randn(4, 2, 6, 6, dtype=torch.double)
    expected = torch.cat([first(x[:2]), second(x[2:])])
    torch.testing.assert_close(type(first).jointly([first, second], x), expected)


def test_spectral_norm_converges_to_the_largest_singular_value(either_way):
    layer = SpectralLinear(6, 4, bias=False)
    for _ in range(200):
        layer(torch.randn(1, 6))
    x, largest = torch.randn(2, 6), torch.linalg.matrix_norm(layer.weight, 2)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight / largest))


def test_spectral_norm_equals_torchs_own_step(either_way):
    torch.manual_seed(0)
    ours = SpectralConv2d(3, 4, 3, padding=1)
    theirs = nn.Conv2d(3, 4, 3, padding=1)
    theirs.load_state_dict({"weight": ours.weight, "bias": ours.bias})
    theirs = nn.utils.spectral_norm(theirs)
    theirs.weight_u.copy_(ours.u)
    theirs.weight_v.copy_(ours.v)
    x = torch.randn(2, 3, 5, 5)
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))


def test_spectral_norm_of_several_layers_continues_from_the_vectors_of_each(either_way):
    layers = [SpectralConv2d(3, 4, 3) for _ in range(3)]
    alone, x = copy.deepcopy(layers), torch.randn(6, 3, 5, 5)
    with as_calls(2):
        for _ in range(2):
            expected = torch.cat([layer(share) for layer, share in zip(alone, x.chunk(3), strict=True)])
            torch.testing.assert_close(SpectralConv2d.jointly(layers, x), expected)
    for ours, theirs in zip(layers, alone, strict=True):
        torch.testing.assert_close((ours.u, ours.v), (theirs.u, theirs.v))


def test_spectral_norm_stands_still_in_eval_mode_and_can_be_copied_after_a_step():
    layer = SpectralConv2d(3, 4, 3)
    x = torch.randn(2, 3, 5, 5)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer).eval()
    before = twin.u.clone()
    twin(x)
    assert torch.equal(twin.u, before)


@pytest.mark.parametrize(
    "layer", [SpectralConv2d(3, 4, 3, padding=1), SpectralLinear(3, 4), SpectralLinear(3, 4, bias=False)]
)
def test_spectral_norm_has_the_gradients_of_dividing_the_weight(layer):
    layer = copy.deepcopy(layer).double()
    x = torch.randn(2, 3, *((5, 5) if isinstance(layer, nn.Conv2d) else ()), dtype=torch.double, requires_grad=True)
    actual = layer(x)
    _same_with_gradients(actual, _divided(layer, x), (x, *layer.parameters()))


def test_spectral_norm_has_the_second_derivatives_of_dividing_the_weight():
    layer = SpectralConv2d(3, 2, 3, padding=1).double().eval()
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    steepness = [_steepness(passed, x) for passed in (layer(x), _divided(layer, x))]
    inputs = (x, layer.weight)
    _same_with_gradients(*steepness, inputs)
    assert torch.autograd.gradgradcheck(lambda x, weight: _convolved(layer, x, weight), inputs)


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_a_batch_of_two_calls_equals_two_calls(dtype, either_way):
    together, apart = (SpectralConv2d(3, 14, 3).to(dtype) for _ in range(2))
    apart.load_state_dict(together.state_dict())
    first, second = torch.randn(2, 2, 3, 5, 5, dtype=dtype)
    with as_calls(2):
        actual = together(torch.cat([first, second]))
    expected = torch.cat([apart(first), apart(second)])
    torch.testing.assert_close(actual, expected)
    for y in (actual, expected):
        y.square().sum().backward()
    torch.testing.assert_close(together.weight.grad, apart.weight.grad)
    torch.testing.assert_close((together.u, together.v), (apart.u, apart.v), rtol=0, atol=0)


def test_spectral_norm_of_no_weight_is_zero(either_way):
    """As torch's: what would be divided by zero is divided by 1e-12."""
    layer = SpectralLinear(5, 3)
    with torch.no_grad():
        layer.weight.zero_()
    with as_calls(2):
        layer(torch.randn(2, 5))
    assert not layer.u.any()
    assert not layer.v.any()


def test_spectral_norm_takes_weights_in_any_order_of_memory(either_way):
    last = SpectralConv2d(3, 4, 3)
    usual = copy.deepcopy(last)
    last.weight.data = last.weight.data.contiguous(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(last(x), usual(x))


def test_spectral_norm_under_autocast_scales_in_full_precision():
    layer = SpectralConv2d(3, 4, 3).eval()
    x = torch.randn(2, 3, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        actual, convolved = layer(x), F.conv2d(x, layer.weight)
    sigma = torch.dot(layer.u, layer.weight.flatten(1) @ layer.v)
    expected = convolved.float() / sigma + layer.bias[:, None, None]
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, rtol=2**-8, atol=1e-6)  # rounded once


def _divided(layer, x):
    """Divide the weight, as the paper has it; u and v are those that the last call has left."""
    weight = layer.weight / torch.dot(layer.u, layer.weight.flatten(1) @ layer.v)
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, layer.bias)
    return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)


def _convolved(layer, x, weight):
    return torch.func.functional_call(layer, {"weight": weight}, (x,))


def _steepness(y, x):
    return torch.autograd.grad(y.tanh().sum(), x, create_graph=True)[0].square().sum()


def _same_with_gradients(actual, expected, inputs):
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(actual)
    for ours, plain in zip(
        torch.autograd.grad(actual, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(ours, plain)
