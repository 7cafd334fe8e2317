"""Tensors with the batch dimension first, and lists, tuples, dictionaries and dataclasses of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


def take(value: T, samples: slice) -> T:
    """Return a part of the batch of every tensor in ``value``."""
    return apply(value, lambda tensor: tensor[samples])


def join(values: Sequence[T]) -> T:
    """Concatenate values of one structure along the batch; ``None`` stays ``None``."""
    return values[0] if len(values) == 1 else _rebuild(values, torch.cat)


def apply(value: T, operation: Callable[[Tensor], Tensor]) -> T:
    """Apply an operation to every tensor in ``value``."""
    return _rebuild([value], lambda tensors: operation(tensors[0]))


def detach(value: T) -> T:
    """Cut every tensor in ``value`` from its graph."""
    return apply(value, Tensor.detach)


def _rebuild(values: Sequence[T], operation: Callable[[list[Any]], Any]) -> T:
    return cast(T, _rebuilt(values, operation))


def _rebuilt(values: Sequence[Any], operation: Callable[[list[Any]], Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return operation(list(values))
    if isinstance(first, list | tuple):
        return type(first)(_rebuilt(items, operation) for items in zip(*values, strict=True))
    if isinstance(first, dict):
        return {key: _rebuilt([value[key] for value in values], operation) for key in first}
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return replace(first, **{n: _rebuilt([getattr(v, n) for v in values], operation) for n in names})
    return first
