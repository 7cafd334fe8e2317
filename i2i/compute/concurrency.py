"""Calling a function for both translation directions at the same time.

An operation on small images has too little work for several threads, and much of a step is Python between operations.
The directions of a step share weights but no intermediate results, so each can have a thread to itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from typing import TypeVar

import torch

from i2i.compute.threads import kept_threads

T = TypeVar("T")
R = TypeVar("R")


class Concurrency:
    """Calls a function for two items at the same time, each with half of the CPU threads.

    All of a `shared` block has half of the CPU threads, whether or not calls run at the same time in it. Outside of one
    they run in turn.

    Args:
        allowed: False if calls always run in turn, on all CPU threads.

    Attributes:
        active: Whether calls run at the same time now.
    """

    def __init__(self, allowed: bool = False) -> None:
        self._allowed = allowed
        self.active = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the CPU threads between two calls in this block, if there are at least two."""
        threads = torch.get_num_threads()
        self.active = self._allowed and threads > 1
        with kept_threads():
            if self.active:
                torch.set_num_threads(threads // 2)
            try:
                yield
            finally:
                self.active = False

    def map(self, function: Callable[[T], R], items: tuple[T, T]) -> list[R]:
        """Return the results of a function whose calls neither depend on one another nor draw random numbers."""
        return _at_once(function, *items) if self.active else [function(item) for item in items]


def _at_once(function: Callable[[T], R], first: T, second: T) -> list[R]:
    """Call the function for the first item in this thread, and for the second in another, which is always the same."""
    threads, with_gradient = torch.get_num_threads(), torch.is_grad_enabled()

    def call() -> R:
        torch.set_num_threads(threads)  # of OpenMP, which counts per thread
        with torch.set_grad_enabled(with_gradient):
            return function(second)

    other = _worker().submit(copy_context().run, call)
    try:
        result = function(first)
    finally:
        wait([other])
    return [result, other.result()]


@lru_cache(maxsize=1)
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="i2i")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_worker.cache_clear)  # threads do not survive a fork
