"""Gradients of several optimizer steps, all of them taken before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn


class Gradients:
    """The gradients of a side's optimizer steps, kept apart until all of them are taken.

    Taking the steps between the backward passes, as the code of Zhuang & Yang (arXiv 2007.13332) does, would mix
    updated weights with activations of the old ones. Those of update 0 stay with the parameters.
    """

    def __init__(self) -> None:
        self._later: dict[int, dict[nn.Parameter, Tensor]] = {}

    @contextmanager
    def of(self, update: int, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
        """Add what this block adds to the gradients of ``parameters`` to those of an update.

        Also after an exception the parameters get the gradients of update 0 back.
        """
        if update == 0:
            yield
            return
        first = [parameter.grad for parameter in parameters]
        own = self._later.setdefault(update, {})
        for parameter in parameters:
            parameter.grad = own.get(parameter)
        try:
            yield
            own.update({parameter: parameter.grad for parameter in parameters if parameter.grad is not None})
        finally:
            for parameter, gradient in zip(parameters, first, strict=True):
                parameter.grad = gradient

    def updates(self, last: Callable[[int], int] = int) -> Iterator[int]:
        """Yield the number of each update, in order, once its gradients are with the parameters; forget them then.

        Args:
            last: Returns the last number of all processes, given this one's: each has to take part in every update.
        """
        yield 0
        for update in range(1, last(max(self._later, default=0)) + 1):
            for parameter, gradient in self._later.pop(update, {}).items():
                parameter.grad = gradient
            yield update
