"""Convolutions by Winograd's algorithm are those of torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.nn import Conv2d, SpectralConv2d, convolve, joint, kernels, winograd
from i2i.nn.winograd import convolve_by_winograd, suits_winograd
from tests.nn.accuracy import relative_error

# samples, inputs, height, width, outputs
SHAPES = [(2, 3, 10, 18, 4), (2, 3, 9, 17, 4), (3, 2, 7, 8, 1), (1, 5, 3, 4, 2), (1, 1, 6, 71, 1),
          (2, 3, 17, 17, 4), (2, 3, 33, 33, 4), (2, 3, 34, 34, 4)]  # fmt: skip
pytestmark = pytest.mark.usefixtures("built_kernels")


@pytest.fixture
def chosen(monkeypatch):
    """Return a list that grows by one for each convolution by Winograd's algorithm."""
    calls: list[torch.Size] = []

    def convolve_and_count(x, weight):
        calls.append(x.shape)
        return convolve_by_winograd(x, weight)

    monkeypatch.setattr(joint, "convolve_by_winograd", convolve_and_count)
    return calls


def _drawn(samples, inputs, height, width, outputs, kernel=3):
    torch.manual_seed(0)
    x = torch.randn(samples, inputs, height, width, requires_grad=True)
    weight = torch.randn(outputs, inputs, kernel, kernel, requires_grad=True)
    return x, weight


def _by_both(x, weight, compute):
    """Return what ``compute(convolve, x, weight)`` gives here and, in double precision, by torch."""
    exact = [value.detach().double().requires_grad_() for value in (x, weight)]
    return compute(convolve_by_winograd, x, weight), compute(F.conv2d, *exact)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("shape", [*SHAPES, (2, 64, 18, 18, 64)], ids=str)
def test_values_and_gradients_are_those_of_torch_to_single_precision(shape, kernel):
    def compute(convolve, x, weight):
        y = convolve(x, weight)
        slope = torch.linspace(-1, 2, y.numel()).view(y.shape).to(y.dtype)
        return y, *torch.autograd.grad((y * slope).sum(), [x, weight])

    for actual, expected in zip(*_by_both(*_drawn(*shape, kernel), compute), strict=True):
        assert actual.shape == expected.shape
        assert relative_error(actual, expected) < 2e-6


def test_second_derivatives_are_those_of_torch():
    def compute(convolve, x, weight):
        first = torch.autograd.grad(convolve(x, weight).pow(3).sum(), [x, weight], create_graph=True)
        return torch.autograd.grad(sum(part.square().sum() for part in first), [x, weight])

    for actual, expected in zip(*_by_both(*_drawn(2, 3, 9, 17, 4), compute), strict=True):
        assert relative_error(actual, expected) < 1e-5


@pytest.mark.parametrize("derived", [False, True], ids=["leaves", "results"])
@pytest.mark.parametrize("by_return", [False, True], ids=["backward", "grad"])
def test_no_gradient_is_computed_that_a_backward_pass_does_not_use(by_return, derived, monkeypatch):
    leaves = dict(zip(("x", "weight"), _drawn(2, 3, 9, 17, 4), strict=True))
    y = convolve_by_winograd(*(leaf * 1 if derived else leaf for leaf in leaves.values()))
    names: list[str] = []
    monkeypatch.setattr(winograd, "call", lambda name, *_: names.append(name.removeprefix("winograd_")))
    of_one = {"x": ["weights", "input_transposed"], "weight": ["input", "weights_transposed"]}
    for used, own in {("x",): of_one["x"], ("weight",): of_one["weight"],
                      ("x", "weight"): [*of_one["x"], *of_one["weight"]]}.items():  # fmt: skip
        inputs = [leaves[name] for name in used]
        names.clear()
        if by_return:
            torch.autograd.grad([y.sum()], inputs, retain_graph=True)
        else:
            torch.autograd.backward([y.sum()], inputs=inputs, retain_graph=True)
        assert names == ["output_transposed", *own]


def test_memory_order_does_not_matter():
    x, weight = _drawn(2, 3, 9, 17, 4)
    expected = convolve_by_winograd(x, weight)
    last = convolve_by_winograd(*(value.contiguous(memory_format=torch.channels_last) for value in (x, weight)))
    assert torch.equal(last, expected)
    grads = [torch.autograd.grad(y, [x, weight], ones) for y, ones in (
        (expected, torch.ones_like(expected)), (last, torch.ones(1).expand(last.shape)))]  # fmt: skip
    assert all(torch.equal(*pair) for pair in zip(*grads, strict=True))


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_needs_no_gradient_gets_none(frozen, monkeypatch):
    values, calls = [value.detach() for value in _drawn(2, 3, 9, 17, 4)], []
    bmm = torch.bmm
    values[1 - frozen].requires_grad_()
    y = convolve_by_winograd(*values)
    monkeypatch.setattr(torch, "bmm", lambda *pair: calls.append(pair) or bmm(*pair))
    y.sum().backward()
    assert values[frozen].grad is None
    assert values[1 - frozen].grad is not None
    assert len(calls) == 1


def test_the_number_of_threads_changes_no_bit_of_the_transforms():
    x, weight, threads, results = torch.randn(3, 40, 35, 35), torch.randn(160, 160, 3, 3), torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        points, own = torch.zeros(36, 40, 3 * 81), torch.zeros(36, 160, 160)
        kernels.call("winograd_input", x, points, *x.shape, 9, 9, 6)
        back, own_back = torch.zeros_like(x), torch.zeros_like(weight)
        kernels.call("winograd_input_transposed", back, points, *x.shape, 9, 9, 6)
        kernels.call("winograd_weights", weight, own, 160 * 160, 3)
        kernels.call("winograd_weights_transposed", own_back, own, 160 * 160, 3)
        results.append((points, back, own, own_back))
    torch.set_num_threads(threads)
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_only_wide_convolutions_of_single_precision_suit():
    x, weight = torch.zeros(1, 32, 18, 18), torch.zeros(32, 32, 3, 3)
    assert suits_winograd(x, weight)
    assert not suits_winograd(x[:, :31], weight[:, :31])
    assert not suits_winograd(x, weight[:31])
    assert not suits_winograd(x[..., :14], weight)  # 12 tiles
    assert not suits_winograd(x, weight[..., :2, :2])
    assert suits_winograd(torch.zeros(1, 64, 18, 18), torch.zeros(64, 64, 2, 2))
    assert not suits_winograd(x, weight[..., :2])
    assert not suits_winograd(x, weight[..., :1, :1])
    assert not suits_winograd(x.double(), weight.double())
    assert not suits_winograd(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not suits_winograd(x, weight)


LAYERS = {
    "plain": lambda: Conv2d(32, 40, 3),
    "padded": lambda: Conv2d(32, 40, 3, padding=1, bias=False),
    "spectral": lambda: SpectralConv2d(32, 40, 3, padding=1).eval(),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_layers_choose_it(build, chosen, monkeypatch):
    layer, x = build(), torch.randn(2, 32, 17, 20)
    y = layer(x)
    assert len(chosen) == 1
    monkeypatch.setattr(kernels, "_library", lambda: None)
    assert relative_error(y, layer(x)) < 2e-6
    assert len(chosen) == 1


def test_each_group_has_its_weights(chosen):
    x, weights, biases = torch.randn(4, 32, 130, 66), torch.randn(2, 64, 32, 3, 3), torch.randn(2, 64)
    expected = [F.conv2d(*share) for share in zip(x.chunk(2), weights, biases, strict=True)]
    assert relative_error(convolve(x, weights, biases), torch.cat(expected)) < 2e-6
    assert len(chosen) == 2


@pytest.mark.parametrize("options", [{"stride": 2}, {"side": 1}, {"side": 5}], ids=str)
def test_other_convolutions_are_torchs(options, chosen):
    layer = Conv2d(32, 32, **{"side": 3, **options})
    x = torch.randn(1, 32, 34, 34)
    assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))
    assert not chosen


def test_weights_that_do_not_change_are_evaluated_once(monkeypatch):
    evaluate, evaluated = winograd._evaluated, []
    monkeypatch.setattr(winograd, "_evaluated", lambda weight: evaluated.append(weight) or evaluate(weight))
    network, x = nn.Sequential(Conv2d(32, 32, 3), Conv2d(32, 32, 3)), torch.randn(1, 32, 40, 40)
    with torch.inference_mode():
        expected = network(x)
        assert len(evaluated) == 2
        with winograd.unchanging(network), winograd.unchanging(network):
            assert torch.equal(network(x), expected)
            assert torch.equal(network(x), expected)
        assert len(evaluated) == 4
        weight = network[0].weight
        transposed = convolve(x, weight.transpose(0, 1)[None].contiguous())
        with winograd.unchanging(network):
            network(x)
            assert torch.equal(convolve(x, weight.transpose(0, 1)[None]), transposed)
            assert not torch.equal(convolve(x, weight[None]), transposed)
        evaluated.clear()
        network[0].weight *= 2
        assert not torch.equal(network(x), expected)
        assert len(evaluated) == 2
