"""The stages of a network, whose ``forward`` a training may replace: the elements of its outermost lists of modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from i2i.contracts.branches import Branches


def stages(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the stages of a network; branches, which may run jointly, are one stage."""
    for child in network.children():
        if isinstance(child, Branches):
            yield child
        elif isinstance(child, nn.Sequential | nn.ModuleList):
            yield from child
        else:
            yield from stages(child)


def copied_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of a module's buffers by name."""
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@contextmanager
def buffers_as(module: nn.Module, buffers: Mapping[str, Tensor]) -> Iterator[None]:
    """Give a module earlier buffers inside the block, then its present ones again."""
    present = dict(module.named_buffers())
    _set(module, {name: buffer.clone() for name, buffer in buffers.items()})
    try:
        yield
    finally:
        _set(module, present)


def _set(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, buffer in buffers.items():
        path, _, leaf = name.rpartition(".")
        module.get_submodule(path)._buffers[leaf] = buffer
