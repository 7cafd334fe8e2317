"""Several jobs of a bench at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

Apply = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Like `map`: a function and its arguments to the results, in order."""


@contextmanager
def in_order(jobs: int) -> Iterator[Apply]:
    """Yield a `map` that makes up to ``jobs`` calls at the same time, in threads; one at a time with 1.

    Calls that have not started are dropped when the block raises.
    """
    if jobs == 1:
        yield map
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def threads_each(jobs: int) -> int:
    """Return the CPU threads of each of several jobs that share this machine's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)
