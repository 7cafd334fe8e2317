from __future__ import annotations

import copy
from dataclasses import is_dataclass

import pytest
import torch
from torch import Tensor, nn

from i2i import Discriminator, Generator
from i2i.contracts.joint import run
from i2i.nn import (
    CamAttention,
    CamHeads,
    DoublingConv2d,
    ImageConv2d,
    InstanceNorm,
    LayerInstanceNorm,
    MinibatchStd,
    ReflectionConv2d,
    ReflectionPad2d,
    ResidualBlock,
    SpectralConv2d,
    SpectralLinear,
)
from i2i.nn.calls import as_calls
from i2i.registry.registry import Registry

GROUPS, EACH = 3, 2
INSTALLED = Registry()
IMAGE, VECTOR = (8, 6, 6), (8,)
LAYERS = [
    (nn.Conv2d(8, 5, 3), IMAGE),
    (nn.Conv2d(8, 5, 3, 2, 1, bias=False), IMAGE),
    (nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"), IMAGE),
    (nn.Conv2d(3, 4, 3), (3, 6, 6)),  # too few channels for a grouped convolution
    (nn.Conv2d(32, 64, 3, bias=False), (32, 70, 70)),  # too large for one
    (nn.Conv2d(64, 256, 3, bias=False), (64, 4, 4)),  # too many weights to stack
    (nn.Linear(8, 3), VECTOR),
    (nn.Linear(8, 3, bias=False), VECTOR),
    (SpectralConv2d(8, 5, 3, 2), IMAGE),
    (SpectralConv2d(8, 5, 3, bias=False), IMAGE),
    (SpectralLinear(8, 1), VECTOR),
    (DoublingConv2d(8, 4), IMAGE),
    (DoublingConv2d(8, 4, 5, bias=True, upsampling="bilinear"), IMAGE),
    (ImageConv2d(8, 3), IMAGE),
    (InstanceNorm(), IMAGE),
    (LayerInstanceNorm(8, 0.3, affine=True), IMAGE),
    (MinibatchStd(), IMAGE),
    (CamAttention(8), IMAGE),
    (CamAttention(8, spectral=True, slope=0.2, bias=True), IMAGE),
    (ResidualBlock(8), IMAGE),
    (nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 3), nn.LeakyReLU(0.2)), IMAGE),
    (nn.Sequential(ReflectionPad2d(1), ReflectionConv2d(8, 8, 3)), IMAGE),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_layers_compute_jointly_what_they_compute_in_turn(layer, shape):
    jointly, in_turn = _different(layer), _different(layer)
    x = _batch(*shape)
    actual = _flat(run(jointly, [EACH] * GROUPS, "__call__", x))
    expected = [torch.cat(each) for each in zip(*(_flat(m(p)) for m, p in _pairs(in_turn, x)), strict=True)]
    _same(actual, expected, x, jointly, in_turn)


@pytest.mark.parametrize("kind", [LayerInstanceNorm(8, 0.9, affine=False), CamHeads(8, bias=True)], ids=type)
def test_layers_with_several_inputs_compute_jointly_what_they_compute_in_turn(kind):
    jointly, in_turn = _different(kind), _different(kind)
    inputs = [_batch(*IMAGE), _batch(8), _batch(8)] if isinstance(kind, LayerInstanceNorm) else [_batch(8), _batch(8)]
    actual = _flat(run(jointly, [EACH] * GROUPS, "__call__", *inputs))
    parts = zip(in_turn, *(x.split(EACH) for x in inputs), strict=True)
    expected = [torch.cat(each) for each in zip(*(_flat(module(*part)) for module, *part in parts), strict=True)]
    _same(actual, expected, inputs[0], jointly, in_turn)


@pytest.mark.parametrize("layer", [SpectralConv2d(8, 5, 3), MinibatchStd()], ids=lambda layer: type(layer).__name__)
def test_each_share_holds_as_many_calls_as_the_batch(layer):
    jointly, in_turn = _different(layer), _different(layer)
    x = _batch(*IMAGE)
    with as_calls(2):
        actual = run(jointly, [EACH] * GROUPS, "__call__", x)
        expected = torch.cat([module(part) for module, part in _pairs(in_turn, x)])
    _same([actual], [expected], x, jointly, in_turn)


@pytest.mark.parametrize("contract", [Generator, Discriminator])
def test_networks_compute_jointly_what_they_compute_in_turn(contract):
    names = [name for name in INSTALLED.names(contract) if vars(INSTALLED.get(contract, name)).get("samplewise")]
    assert len(names) >= 4
    for name in names:
        kind = INSTALLED.get(contract, name)
        network = kind(kind.Config(size=32, channels=4))
        network = network.eval() if contract is Generator else network.train()  # UNIT adds noise in training
        jointly, in_turn = _different(network), _different(network)
        x = _batch(3, 32, 32)
        calls = _count(kind, lambda jointly=jointly, x=x: run(jointly, [EACH] * GROUPS, "__call__", x))
        assert calls == 1, name
        _restart(jointly, in_turn)
        actual = _flat(run(jointly, [EACH] * GROUPS, "__call__", x))
        expected = [torch.cat(each) for each in zip(*(_flat(m(p)) for m, p in _pairs(in_turn, x)), strict=True)]
        _same(actual, expected, x, jointly, in_turn)


class Whitened(nn.Module):
    """Mixes the samples of a batch, and so may not see those of other groups."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y - y.mean(0)


class Scaled(ResidualBlock):
    """Adds a parameter to a class that says it has none; what that class says does not hold for it."""

    def __init__(self) -> None:
        super().__init__(8)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * super().forward(x)


def _hooked() -> nn.Module:
    layer = nn.Sequential(nn.Conv2d(8, 8, 1))
    layer.register_forward_hook(lambda module, inputs, output: output * module[0].weight.mean())
    return layer


@pytest.mark.parametrize("layer", [Whitened(), nn.Sequential(Scaled()), _hooked()], ids=["mixes", "subclass", "hooked"])
def test_what_is_not_known_to_treat_samples_alone_runs_in_turn(layer):
    modules, x = _different(layer), _batch(*IMAGE)
    expected = torch.cat([module(part) for module, part in _pairs(modules, x)])
    torch.testing.assert_close(run(modules, [EACH] * GROUPS, "__call__", x), expected)


def test_shares_of_different_sizes_run_in_turn():
    modules, x = _different(nn.Conv2d(8, 8, 1)), _batch(*IMAGE)
    expected = torch.cat([module(part) for module, part in zip(modules, x.split([1, 2, 3]), strict=True)])
    torch.testing.assert_close(run(modules, [1, 2, 3], "__call__", x), expected)


def test_joining_leaves_modules_and_their_state_alone():
    modules = _different(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()))
    before = [dict(module.named_modules()) for module in modules]
    run(modules, [EACH] * GROUPS, "__call__", _batch(*IMAGE))
    assert [dict(module.named_modules()) for module in modules] == before


def _different(layer: nn.Module) -> list[nn.Module]:
    """Return a copy per group, each with weights of its own, and the same ones at every call."""
    generator = torch.Generator().manual_seed(0)
    copies = [copy.deepcopy(layer).double() for _ in range(GROUPS)]
    for parameter in (parameter for module in copies for parameter in module.parameters()):
        parameter.data += 0.1 * torch.rand(parameter.shape, generator=generator, dtype=torch.double)
    return copies


def _restart(*modules: list[nn.Module]) -> None:
    for group in zip(*modules, strict=True):
        state = copy.deepcopy(group[-1].state_dict())
        for module in group:
            module.load_state_dict(state)


def _batch(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(GROUPS * EACH, *shape, dtype=torch.double, requires_grad=True)


def _pairs(modules: list[nn.Module], x: Tensor):
    return zip(modules, x.split(EACH), strict=True)


def _flat(value) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = vars(value).values() if is_dataclass(value) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in _flat(part)]


def _count(kind: type[nn.Module], call) -> int:
    original, calls = kind.forward, []
    kind.forward = lambda *inputs: (calls.append(1), original(*inputs))[1]
    try:
        call()
    finally:
        kind.forward = original
    return len(calls)


def _same(actual: list[Tensor], expected: list[Tensor], x: Tensor, jointly, in_turn) -> None:
    torch.testing.assert_close(actual, expected)
    gradients = []
    for outputs, modules in ((actual, jointly), (expected, in_turn)):
        inputs = [x, *(parameter for module in modules for parameter in module.parameters())]
        gradients.append(torch.autograd.grad(sum(y.tanh().sum() for y in outputs), inputs, allow_unused=True))
    torch.testing.assert_close(*gradients)
    states = [[tensor for module in modules for tensor in module.buffers()] for modules in (jointly, in_turn)]
    torch.testing.assert_close(*states)
