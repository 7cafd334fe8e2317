"""The memory that translations take, from shapes alone: refusing what the machine cannot hold, and sharing what it has.

A network is run on the meta device, which computes shapes and allocates nothing. What it holds at the same time is a
lower bound: convolutions take up to twice as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from threading import Condition, Lock
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing import reductions
from torch.overrides import TorchFunctionMode

from i2i.compute.memory import machine_memory
from i2i.compute.units import byte_size
from i2i.contracts.domains import Direction
from i2i.errors import DataError
from i2i.models.model import MOST_AT_ONCE, Model, evaluating, outline

_Reference: Any = reductions.StorageWeakRef  # which has no types


class Memory:
    """The memory of a model's device, shared by the translations in one direction that run at the same time.

    Args:
        model: The model.
        direction: ``a2b`` or ``b2a``.
        share: The part of the memory of 32-bit computing that the translations need.
    """

    def __init__(self, model: Model, direction: Direction, share: float = 1.0) -> None:
        self._model, self._direction, self._share = model, direction, share
        self._total = machine_memory(model.device)
        self._taken = 0
        self._measuring, self._changed = Lock(), Condition()

    def check(self, pixels: int, remedy: str) -> None:
        """Refuse to translate so many pixels at once if that needs more than all memory.

        Raises:
            DataError: So it does.
        """
        needed = self._needed(pixels)
        if self._total is not None and needed > self._total:
            raise DataError(
                f"Translating {pixels:,} pixels at once needs at least {byte_size(needed)} of memory, and this device "
                f"has {byte_size(self._total)}. {remedy}"
            )

    def limit(self, pixels: int) -> int:
        """Return how many of so many pixels can be translated at once."""
        needed = self._needed(pixels)
        return pixels if self._total is None or needed <= self._total else pixels * self._total // needed

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is memory for translating so many pixels, and count it as taken during the block."""
        needed = self._needed(pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._fits(needed))
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()

    def _fits(self, needed: int) -> bool:
        return self._total is None or not self._taken or self._taken + needed <= self._total

    def _needed(self, pixels: int) -> int:
        """Return the least bytes for pixels; 0 for numbers that any machine can hold."""
        if pixels <= MOST_AT_ONCE:
            return 0
        with self._measuring:
            return round(pixels * self._per_pixel * self._share)

    @cached_property
    def _per_pixel(self) -> float:
        return _peak(self._model, self._direction) / self._model.size**2


def _peak(model: Model, direction: Direction) -> int:
    """Return the most bytes that a translation at the training size holds at a time; 0 if not known from shapes."""
    x = torch.empty(1, 3, model.size, model.size, device="meta")
    with suppress(RuntimeError), torch.inference_mode():  # RuntimeError: from a network that needs real values
        network, holding = outline(model.components, model.base, model.new_groups, judges=False).backbone, _Holding()
        with evaluating(network), holding:
            network.translate(x, direction, None)
        return holding.most
    return 0


class _Holding(TorchFunctionMode):
    """Adds up the memory of the tensors that are alive after each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._alive[storage._cdata] = _Reference(storage), storage.nbytes()
        self._alive = {key: one for key, one in self._alive.items() if not one[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return result
