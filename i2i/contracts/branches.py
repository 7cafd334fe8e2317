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

from i2i.config.options import refuse_unknown_group
from i2i.contracts.batched import join, take
from i2i.errors import ConfigError


@dataclass(frozen=True)
class _Split:
    """Where the samples of a batch go: how many to each group; and how to sort by group and back, if need be.

    A batch is cut by one split: the gradient of a slice a group would be as large as the batch, for each of them.
    """

    groups: tuple[str, ...]
    sizes: list[int]
    order: Tensor | None = None
    restore: Tensor | None = None


_BASE = _Split((), [])  # where `routed(None)` sends all samples
_route: ContextVar[_Split | None] = ContextVar("i2i_route", default=None)  # None: outside of any block


@contextmanager
def routed(groups: tuple[str, ...] | None) -> Iterator[None]:
    """Send sample i of every call in this block through the branch of ``groups[i]``; None: all through the base.

    What is computed after the block, such as activations that a checkpoint recomputes in the backward pass, needs a
    block of its own.
    """
    token = _route.set(_BASE if groups is None else _split_of(groups))
    try:
        yield
    finally:
        _route.reset(token)


class Branches(nn.Module):
    """One copy of a submodule per group, chosen by the surrounding ``routed`` block.

    Args:
        base: The group that serves ``routed(None)``, and in eval mode calls outside of any ``routed`` block.
        branches: Group name to its module; all of them take and return values with the batch first.
    """

    def __init__(self, base: str, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.base = base
        self.branches = nn.ModuleDict(branches)

    def forward(self, *inputs: Tensor) -> Any:
        """Run every sample through the branch of its group; the order of samples is kept.

        Raises:
            ConfigError: A sample's group has no branch here, or there is no ``routed`` block in training mode.
        """
        return self.call("__call__", *inputs)

    def call(self, method: str, *inputs: Tensor) -> Any:
        """Call a method of every sample's branch; values have the batch first, as in `forward`.

        Raises:
            ConfigError: A sample's group has no branch here, or there is no ``routed`` block in training mode.
        """
        route = self._chosen()
        if route is _BASE:
            return getattr(self.branches[self.base], method)(*inputs)
        if len(route.groups) == 1:
            return getattr(self._branch(route.groups[0]), method)(*inputs)
        in_order = inputs if route.order is None else take(inputs, route.order)
        parts = zip(*(torch.split(x, route.sizes) for x in in_order), strict=True)
        called = zip(route.groups, parts, strict=True)
        merged = join([getattr(self._branch(group), method)(*own) for group, own in called])
        return merged if route.restore is None else take(merged, route.restore)

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
        if group not in self.branches:  # asked first: the list is not for every call
            refuse_unknown_group(group, list(self.branches))
        return self.branches[group]


def branch(module: nn.Module, patterns: Sequence[str], base: str, groups: Sequence[str]) -> None:
    """Give every group its own copy of the outermost submodules of ``module`` that match a pattern.

    A submodule that is branched already gets further branches, copied from the base's.

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
        found = module.get_submodule(path)
        branches = found if isinstance(found, Branches) else Branches(base, {base: found})
        for group in groups:
            branches.branches[group] = copy.deepcopy(branches.branches[base])
        module.set_submodule(path, branches)


def keep_branch(module: nn.Module, group: str) -> None:
    """Put one group's branch in the place of every ``Branches`` below ``module``; the base's where it has none.

    Modules that have a method ``folded``, such as low-rank adapters, are then replaced by what it returns.
    """
    found = [(path, own) for path, own in module.named_modules() if isinstance(own, Branches)]
    for path, own in found:
        module.set_submodule(path, own.branches[group if group in own.branches else own.base])
    for path, own in [(path, own) for path, own in module.named_modules() if hasattr(own, "folded")]:
        module.set_submodule(path, own.folded())


def has_branches(module: nn.Module) -> bool:
    """Say whether any submodule is branched."""
    return any(isinstance(m, Branches) for m in module.modules())


def branch_parameters(module: nn.Module, groups: Iterable[str]) -> list[nn.Parameter]:
    """Return the parameters of these groups' own branches."""
    wanted = set(groups)
    return [
        parameter
        for found in module.modules()
        if isinstance(found, Branches)
        for group, own in found.branches.items()
        if group in wanted
        for parameter in own.parameters()
    ]


def parameters_without(module: nn.Module, groups: Iterable[str]) -> list[nn.Parameter]:
    """Return all parameters but those of these groups' own branches."""
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
    order = [index for indices in members.values() for index in indices]
    sizes = [len(indices) for indices in members.values()]
    if order == sorted(order):
        return _Split(tuple(members), sizes)
    return _Split(tuple(members), sizes, torch.tensor(order), torch.argsort(torch.tensor(order)))
