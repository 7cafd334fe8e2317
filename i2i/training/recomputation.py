"""Activation checkpointing: computing activations again in the backward pass instead of keeping them.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). Each stage of a network keeps its
input alone; when a gradient reaches it, the stage runs once more. Gradients are the same to the last bit, for a stage
then sees what it saw before: the random state and autocast (restored by torch), the context, which holds each sample's
branch, and its buffers, such as the vectors of spectral normalisation.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from i2i.training.network_stages import buffers_as, copied_buffers, stages


def recompute(network: nn.Module) -> None:
    """Let every stage of a network recompute its activations: the elements of its outermost lists of modules."""
    for stage in stages(network):
        stage.forward = _Recomputing(stage)


class _Recomputing:
    """Replaces the ``forward`` of a stage; parameters and buffers keep their names."""

    def __init__(self, stage: nn.Module) -> None:
        self._stage = stage

    def __call__(self, *inputs: Any) -> Any:
        forward = type(self._stage).forward
        if not (self._stage.training and torch.is_grad_enabled()):
            return forward(self._stage, *inputs)
        context, before = copy_context(), copied_buffers(self._stage)
        calls = iter((False,))

        def run(*again: Any) -> Any:
            if not next(calls, True):
                return forward(self._stage, *again)
            with buffers_as(self._stage, before):
                return context.run(forward, self._stage, *again)

        return checkpoint(run, *inputs, use_reentrant=False)
