"""Branches: one copy of some submodules per group, chosen for each sample.

With the outermost layers of a generator branched, group i is translated by T_i = G_i(G_S(E_S(E_i(x)))), the equation
of Zhuang & Yang, "Few-shot Knowledge Transfer for Fine-grained Cartoon Face Generation" (arXiv 2007.13332).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from i2i.compute.host import upload
from i2i.config.options import refuse_unknown_group
from i2i.contracts.batched import apply
from i2i.contracts.joint import run
from i2i.errors import ConfigError


@dataclass(frozen=True)
class _Split:
    """How many samples of a batch go to each group, and how to sort them by group and back, if necessary.

    One split cuts the batch: with one slice per group, each slice's gradient would be as large as the batch.
    """

    groups: tuple[str, ...]
    sizes: list[int]
    order: tuple[int, ...] = ()
    restore: tuple[int, ...] = ()


_BASE = _Split((), [])  # sends all samples to the base, for `routed(None)`
_route: ContextVar[_Split | None] = ContextVar("i2i_route", default=None)  # None: outside any block


@contextmanager
def routed(groups: tuple[str, ...] | None) -> Iterator[None]:
    """Send sample i of every call in this block through the branch of ``groups[i]``; None: all through the base.

    Computation after the block, such as activations that a checkpoint recomputes in the backward pass, needs another
    block.
    """
    token = _route.set(_BASE if groups is None else _split_of(groups))
    try:
        yield
    finally:
        _route.reset(token)


class Branches(nn.Module):
    """One copy of a submodule per group, chosen by the surrounding ``routed`` block.

    Args:
        base: The group used by ``routed(None)`` and, in eval mode, outside any ``routed`` block.
        branches: Group name to its module; all of them take and return values with the batch first.
    """

    def __init__(self, base: str, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.base = base
        self.branches = nn.ModuleDict(branches)

    def forward(self, *inputs: Tensor) -> Any:
        """Run every sample through the branch of its group; keep the order of samples.

        Raises:
            ConfigError: A sample's group has no branch here, or there is no ``routed`` block in training mode.
        """
        return self.call("__call__", *inputs)

    def call(self, method: str, *inputs: Tensor) -> Any:
        """Call a method of each sample's branch; arguments and results have the batch first, as in `forward`.

        Raises:
            ConfigError: A sample's group has no branch here, or there is no ``routed`` block in training mode.
        """
        route = self._chosen()
        if route is _BASE:
            return getattr(self.branches[self.base], method)(*inputs)
        if len(route.groups) == 1:
            return getattr(self._branch(route.groups[0]), method)(*inputs)
        branches = [self._branch(group) for group in route.groups]
        if not route.order:
            return run(branches, route.sizes, method, *inputs)
        there, back = (_index(places, inputs[0].device) for places in (route.order, route.restore))
        merged = run(branches, route.sizes, method, *(_Sorted.apply(x, there, back) for x in inputs))
        return apply(merged, lambda y: _Sorted.apply(y, back, there))

    def _chosen(self) -> _Split:
        route = _route.get()
        if route is None and self.training:
            raise ConfigError(
                f"A module with branches for {', '.join(self.branches)} was called in training mode outside of any "
                "routed block, so that nothing says whose branch to take. Call it inside `with routed(groups):`, or "
                "`with routed(None):` for the base's, also where a checkpoint recomputes it; or call eval() first."
            )
        return _BASE if route is None else route

    def _branch(self, group: str) -> nn.Module:
        if group not in self.branches:  # checked first: building the list on every call is slow
            refuse_unknown_group(group, list(self.branches))
        return self.branches[group]


class _Sorted(torch.autograd.Function):
    """Samples in another order; the gradient of torch's index would be a sum, where sorting ``back`` is enough."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(there, back)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        there, back = ctx.saved_tensors
        return _Sorted.apply(grad, back, there), None, None


def branch(module: nn.Module, patterns: Sequence[str], base: str, groups: Sequence[str]) -> None:
    """Give each group its own copy of the outermost submodules of ``module`` that match a pattern.

    An already branched submodule gets further branches, copied from the base branch.

    Raises:
        ConfigError: No submodule matches.
    """
    paths = list(_outermost(module, patterns))
    if not paths:
        raise ConfigError(
            f"{type(module).__name__} has no submodule that matches its branch points {list(patterns)}, so that no "
            "group can have its own. Choose another generator or discriminator, or --transfer none."
        )
    for path in paths:
        matched = module.get_submodule(path)
        branches = matched if isinstance(matched, Branches) else Branches(base, {base: matched})
        for group in groups:
            branches.branches[group] = copy.deepcopy(branches.branches[base])
        module.set_submodule(path, branches)


def keep_branch(module: nn.Module, group: str | None) -> None:
    """Replace every ``Branches`` in ``module`` by the group's branch, or by the base's if it has none or is None.

    Then replace modules with a method ``folded``, such as low-rank adapters, by its result.
    """
    branched = [(path, child) for path, child in module.named_modules() if isinstance(child, Branches)]
    for path, branches in branched:
        kept = branches.base if group is None or group not in branches.branches else group
        module.set_submodule(path, branches.branches[kept])
    for path, child in [(path, child) for path, child in module.named_modules() if hasattr(child, "folded")]:
        module.set_submodule(path, child.folded())


def has_branches(module: nn.Module) -> bool:
    """Return whether any submodule is branched."""
    return any(isinstance(m, Branches) for m in module.modules())


def branch_parameters(module: nn.Module, groups: Iterable[str]) -> list[nn.Parameter]:
    """Return the parameters of these groups' branches."""
    wanted = set(groups)
    return [
        parameter
        for child in module.modules()
        if isinstance(child, Branches)
        for group, branch_module in child.branches.items()
        if group in wanted
        for parameter in branch_module.parameters()
    ]


def parameters_without(module: nn.Module, groups: Iterable[str]) -> list[nn.Parameter]:
    """Return all parameters except those of these groups' branches."""
    excluded = {id(parameter) for parameter in branch_parameters(module, groups)}
    return [parameter for parameter in module.parameters() if id(parameter) not in excluded]


def _outermost(module: nn.Module, patterns: Sequence[str], prefix: str = "") -> Iterator[str]:
    for name, child in module.named_children():
        path = prefix + name
        if any(fnmatchcase(path, pattern) for pattern in patterns):
            yield path
        elif not isinstance(child, Branches):
            yield from _outermost(child, patterns, path + ".")


@lru_cache(maxsize=256)
def _split_of(groups: tuple[str, ...]) -> _Split:
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = tuple(index for indices in members.values() for index in indices)
    sizes = [len(indices) for indices in members.values()]
    if order == tuple(range(len(order))):
        return _Split(tuple(members), sizes)
    return _Split(tuple(members), sizes, order, tuple(sorted(range(len(order)), key=order.__getitem__)))


@lru_cache(maxsize=512)
def _index(places: tuple[int, ...], device: torch.device) -> Tensor:
    """Return an index on the device where it is used; torch would copy one of the CPU there each time, and wait."""
    return upload(torch.tensor(places), device)
