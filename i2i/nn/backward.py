"""What convolutions with a backward pass of their own have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from i2i.nn.kernels import have_kernels_for


def needed(ctx: Any) -> list[bool]:
    """Return which inputs' gradients the backward pass that runs now uses; torch says only which any pass could."""
    return [_leads_on(node) for node, _ in ctx.next_functions]


def is_plain(grad: Tensor) -> bool:
    """Return whether a backward pass may leave torch's operations: on the CPU, and not for second derivatives."""
    return not torch.is_grad_enabled() and have_kernels_for(grad)


def gradients(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int, wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return torch's gradients of a convolution without padding, for its input and its weight, as far as wanted."""
    none = [0, 0]
    grads = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride, stride], none, [1, 1], False, none, 1, [*wanted, False]
    )
    return grads[0], grads[1]


def _leads_on(node: torch.autograd.graph.Node | None) -> bool:
    try:
        return node is not None and torch._C._will_engine_execute_node(node)
    except RuntimeError:  # it does, to a leaf whose gradient ``torch.autograd.grad`` returns
        return True
