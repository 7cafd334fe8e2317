"""Activation checkpointing: computing activations again in the backward pass instead of keeping them.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). Each stage of a network keeps its
input alone; when a gradient reaches it, the stage runs once more. Gradients are the same to the last bit, for a stage
then sees what it saw before: the random state and autocast (restored by torch), the context, which holds each sample's
branch, and its buffers, such as the vectors of spectral normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from i2i.contracts.branches import Branches


def recompute(network: nn.Module) -> None:
    """Let every stage of a network recompute its activations: the elements of its outermost lists of modules."""
    for stage in _stages(network):
        stage.forward = _Recomputing(stage)


class _Recomputing:
    """Replaces the ``forward`` of a stage; parameters and buffers keep their names."""

    def __init__(self, stage: nn.Module) -> None:
        self._stage = stage

    def __call__(self, *inputs: Any) -> Any:
        forward = type(self._stage).forward
        if not (self._stage.training and torch.is_grad_enabled()):
            return forward(self._stage, *inputs)
        context, before = copy_context(), _buffers(self._stage)
        calls = iter((False,))

        def run(*again: Any) -> Any:
            if not next(calls, True):
                return forward(self._stage, *again)
            with _buffers_as(self._stage, before):
                return context.run(forward, self._stage, *again)

        return checkpoint(run, *inputs, use_reentrant=False)


def _stages(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the elements of the outermost lists; branches, which may run jointly, are one stage."""
    for child in network.children():
        if isinstance(child, Branches):
            yield child
        elif isinstance(child, nn.Sequential | nn.ModuleList):
            yield from child
        else:
            yield from _stages(child)


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@contextmanager
def _buffers_as(module: nn.Module, buffers: Mapping[str, Tensor]) -> Iterator[None]:
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
