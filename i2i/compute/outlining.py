"""Building networks without their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@contextmanager
def without_weights() -> Iterator[None]:
    """Build networks on the meta device inside the block, and draw no random numbers for them.

    Tensors have shapes, but no memory. Torch would import its compiler and sympy, over a second, to draw normally
    distributed numbers that nobody can read.

    Raises:
        RuntimeError: A network needs real weights; torch's own error.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Replaces drawing and scaling of random numbers by what only sets the shape."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWING:
            given.pop("generator", None)
            return torch.empty(*args, **given)
        if func in _FILLING:
            tensor = given.get("tensor", args[0] if args else None)
            if isinstance(tensor, Tensor) and tensor.is_meta:
                return tensor
        return func(*args, **given)


_DRAWING = (torch.randn, torch.rand)
_FILLING = (
    Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_,
    nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.xavier_uniform_, nn.init.trunc_normal_, F.normalize,
)  # fmt: skip
"""Functions whose result has the shape of their first argument."""
