"""Batches that stand for several successive calls of a network, such as real images and fakes judged at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_calls: ContextVar[int] = ContextVar("i2i_calls", default=1)


@contextmanager
def as_calls(count: int) -> Iterator[None]:
    """Treat every batch in this block as ``count`` successive calls with equal shares of the samples.

    So the result is that of separate calls: spectral norms take a step of power iteration for each, and statistics of
    a batch are those of each share.
    """
    token = _calls.set(count)
    try:
        yield
    finally:
        _calls.reset(token)


def calls_in_batch() -> int:
    """Return how many calls a batch stands for here."""
    return _calls.get()
