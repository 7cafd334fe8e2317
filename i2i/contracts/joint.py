"""Runs equally built modules of several groups jointly, each on its share of a batch.

Samples of many groups then cost little more than as many samples of one: what has no parameters runs once on the whole
batch, and narrow layers compute with the parameters of all groups at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from i2i.contracts.batched import join
from i2i.nn.joint import convolve_by, map_by

_SAMPLEWISE = {
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity, nn.Flatten, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid,
    nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d, nn.PixelShuffle, nn.Upsample, nn.AvgPool2d, nn.MaxPool2d,
}  # fmt: skip
_MOST = 2**17  # parameters of a layer up to which joining saves more than stacking the weights costs


@runtime_checkable
class _Joinable(Protocol):
    @classmethod
    def jointly(cls, layers: Sequence[Any], *inputs: Tensor) -> Any: ...


def run(modules: Sequence[nn.Module], sizes: Sequence[int], method: str, *inputs: Tensor) -> Any:
    """Call a method of each module on its share of the inputs; return the results in one batch.

    A module whose class sets ``samplewise = True`` is taken apart: its forward pass treats every sample on its own and
    has no parameters but those of its children, which it only calls. Others run one after the other.

    Args:
        modules: Equally built modules.
        sizes: Samples of each module, in order.
        method: A method that takes and returns values with the batch first.
        inputs: Arguments for all modules, each with the batch first.
    """
    whole = _joined(modules) if len(set(sizes)) == 1 else None
    if whole is None:
        return _in_turn(modules, *inputs, sizes=sizes, method=method)
    return getattr(whole, method)(*inputs)


def _joined(modules: Sequence[nn.Module]) -> nn.Module | None:
    """Return one module that stands for all, or None if they must run one after the other."""
    kinds = {type(module) for module in modules}
    if len(kinds) > 1 or any(module._forward_hooks or module._forward_pre_hooks for module in modules):
        return None
    kind = kinds.pop()
    if kind in _SAMPLEWISE or vars(kind).get("samplewise", False):
        return _taken_apart(modules)
    jointly = _jointly(modules[0])
    return None if jointly is None else _Joint(jointly, modules)


def _taken_apart(modules: Sequence[nn.Module]) -> nn.Module:
    first = modules[0]
    if not first._modules:
        return first
    whole = copy.copy(first)
    names = [name for name, child in first._modules.items() if child is not None]
    whole.__dict__.pop("forward", None)  # a replaced one would run the first module alone
    whole.__dict__["_modules"] = first._modules | {name: _child(name, modules) for name in names}
    return whole


def _child(name: str, modules: Sequence[nn.Module]) -> nn.Module:
    children = [cast(nn.Module, module._modules[name]) for module in modules]  # get_submodule is slow
    whole = _joined(children)
    return _Joint(_in_turn, children) if whole is None else whole


def _jointly(module: nn.Module) -> Callable[..., Any] | None:
    """Return the function that runs layers like ``module`` jointly, if there is one and they are narrow."""
    if _count(module) > _MOST:
        return None
    if type(module) is nn.Conv2d and module.groups == 1 and set(module.dilation) == {1}:
        return convolve_by
    if type(module) is nn.Linear:
        return map_by
    inherits = "jointly" not in vars(type(module))  # and may compute something else
    return module.jointly if isinstance(module, _Joinable) and not inherits else None


def _count(module: nn.Module) -> int:
    """Return the number of parameters; torch's walk over the submodules would be slow for a layer, which has none."""
    parameters = module.parameters() if module._modules else module._parameters.values()
    return sum(parameter.numel() for parameter in parameters if parameter is not None)


def _in_turn(
    layers: Sequence[nn.Module], *inputs: Tensor, sizes: Sequence[int] | None = None, method: str = "__call__"
) -> Any:
    """Call a method of each layer on its share of the inputs; without ``sizes``, equal shares."""
    shares = list(sizes) if sizes else len(inputs[0]) // len(layers)
    parts = zip(*(torch.split(x, shares) for x in inputs), strict=True)
    return join([getattr(layer, method)(*part) for layer, part in zip(layers, parts, strict=True)])


class _Joint(nn.Module):
    """Layers as one module. They stay their owners': it has neither parameters nor a state of its own."""

    def __init__(self, jointly: Callable[..., Any], layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.jointly = jointly
        self.__dict__["layers"] = tuple(layers)

    def forward(self, *inputs: Tensor) -> Any:
        return self.jointly(self.__dict__["layers"], *inputs)
