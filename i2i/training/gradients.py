"""Gradients of several optimizer steps, all computed before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn


class Gradients:
    """The gradients of a side's optimizer steps, kept separate until all are computed.

    Stepping between the backward passes, as the code of Zhuang & Yang (arXiv 2007.13332) does, would mix updated
    weights with activations of the old ones. Gradients of update 0 stay in the parameters' ``grad``.
    """

    def __init__(self) -> None:
        self._later: dict[int, dict[nn.Parameter, Tensor]] = {}

    @contextmanager
    def of(self, update: int, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
        """Accumulate gradients of ``parameters`` computed in this block into an update.

        Afterwards, even on an exception, ``grad`` holds the gradients of update 0 again.
        """
        if update == 0:
            yield
            return
        first = [parameter.grad for parameter in parameters]
        gradients = self._later.setdefault(update, {})
        for parameter in parameters:
            parameter.grad = gradients.get(parameter)
        try:
            yield
            gradients.update({parameter: parameter.grad for parameter in parameters if parameter.grad is not None})
        finally:
            for parameter, gradient in zip(parameters, first, strict=True):
                parameter.grad = gradient

    def updates(self, last: Callable[[int], int] = int) -> Iterator[int]:
        """Yield each update's number in order, with its gradients in the parameters' ``grad``; then drop them.

        Args:
            last: Maps this process's last number to the largest of all processes, since all take part in every update.
        """
        yield 0
        for update in range(1, last(max(self._later, default=0)) + 1):
            for parameter, gradient in self._later.pop(update, {}).items():
                parameter.grad = gradient
            yield update
