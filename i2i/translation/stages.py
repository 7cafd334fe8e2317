"""Stages of a pipeline: work in threads, a bounded number of items ahead, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], threads: Executor, ahead: int) -> Iterator[R]:
    """Apply ``work`` to each item in threads, and yield the results in the order of the items.

    At most ``ahead`` items are taken before their results are, which bounds the memory of a chain of stages. A stage
    works on while the next one waits for another result.
    """
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(threads.submit(work, item))
        while len(pending) >= ahead or (pending and pending[0].done()):
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def grouped(items: Iterable[T], key: Callable[[T], object], most: Callable[[T], int], wait: int) -> Iterator[list[T]]:
    """Yield lists of items with equal keys, each as soon as it is full.

    Args:
        items: The items.
        key: Items with equal keys may share a list.
        most: How many items may share the list of this one.
        wait: How many items may wait for others like them; beyond, the oldest incomplete list goes on.
    """
    waiting: dict[object, list[T]] = {}
    for item in items:
        alike = waiting.setdefault(key(item), [])
        alike.append(item)
        if len(alike) >= most(item):
            yield waiting.pop(key(item))
        elif sum(map(len, waiting.values())) >= wait:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def sort_numbered(items: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yield items in the order of their numbers, which are 0, 1, ..., each as soon as all before it have come."""
    early: list[tuple[int, T]] = []
    following = 0
    for item in items:
        heappush(early, item)
        while early and early[0][0] == following:
            yield heappop(early)[1]
            following += 1


@contextmanager
def worker_threads(count: int, cores: int = 1) -> Iterator[Executor]:
    """Yield threads that compute with so many cores each; the block's end waits for what they are at, and no more."""
    before = torch.get_num_threads()
    threads = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, cores),))
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
