from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.nn.convolutions import DoublingConv2d, ImageConv2d
from i2i.nn.spectral import SpectralConv2d, SpectralLinear


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (8, 4)])
def test_doubling_convolution_equals_upsample_pad_convolve(size):
    conv = DoublingConv2d(3, 5).double()
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    plain = F.conv2d(F.pad(F.interpolate(x, scale_factor=2), (1,) * 4, mode="reflect"), conv.weight)
    _same_with_gradients(conv(x), plain, (x, conv.weight))


@pytest.mark.parametrize("size", [(4, 4), (6, 10)])
def test_image_convolution_equals_pad_convolve(size):
    conv = ImageConv2d(4, 3).double()
    x = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    plain = F.conv2d(F.pad(x, (3,) * 4, mode="reflect"), conv.weight)
    _same_with_gradients(conv(x), plain, (x, conv.weight))


def test_spectral_norm_converges_to_the_largest_singular_value():
    layer = SpectralLinear(6, 4, bias=False)
    for _ in range(200):
        layer(torch.randn(1, 6))
    expected = torch.linalg.matrix_norm(layer.weight.detach(), 2)
    torch.testing.assert_close(layer.weight / layer.normalised(), torch.full_like(layer.weight, expected.item()))


def test_spectral_norm_equals_torchs_own_step():
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


def test_spectral_norm_stands_still_in_eval_mode_and_can_be_copied_after_a_step():
    layer = SpectralConv2d(3, 4, 3)
    x = torch.randn(2, 3, 5, 5)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer).eval()
    before = twin.u.clone()
    twin(x)
    assert torch.equal(twin.u, before)


def _same_with_gradients(actual, expected, inputs):
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(actual)
    for ours, plain in zip(
        torch.autograd.grad(actual, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(ours, plain)
