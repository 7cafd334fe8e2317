"""Stages: order, and how far they run ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2i.translation.stages import grouped, in_order, sort_numbered


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as executor:
        yield executor


def test_results_come_in_the_order_of_the_items_whatever_takes_longest(threads) -> None:
    released = [threading.Event() for _ in range(3)]

    def work(item: int) -> int:
        if item < 2:
            released[item].wait()
        if item > 0:
            released[item - 1].set()
        return item

    assert list(in_order(work, range(3), threads, 3)) == [0, 1, 2]


def test_no_more_items_are_taken_than_allowed(threads) -> None:
    taken, yielded, most = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal taken, most
        for item in range(20):
            taken += 1
            most = max(most, taken - yielded)
            yield item

    for _ in in_order(lambda item: item, items(), threads, 4):
        yielded += 1
    assert yielded == 20
    assert most <= 5  # four at work, and the one whose result is asked for


def test_what_the_work_raises_is_raised(threads) -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [1, 0], threads, 2))


@given(st.lists(st.integers(0, 3)), st.integers(1, 4), st.integers(1, 9))
def test_lists_hold_everything_once_alike_and_no_more_than_allowed(keys, most, wait) -> None:
    lists = list(grouped(enumerate(keys), lambda item: item[1], lambda _: most, wait))
    assert sorted(item for one in lists for item in one) == list(enumerate(keys))
    assert all(0 < len(one) <= most and len({key for _, key in one}) == 1 for one in lists)


def test_a_rare_one_does_not_wait_for_ever() -> None:
    seen: list[str] = []

    def items() -> Iterator[str]:
        for item in ["rare", *["common"] * 100]:
            seen.append(item)
            yield item

    assert next(grouped(items(), str, lambda _: 4, wait=5)) == ["common"] * 4
    assert ["rare"] in [one for one, _ in zip(grouped(items(), str, lambda _: 50, wait=5), range(9), strict=False)]


@given(st.permutations(range(8)))
def test_numbered_items_are_sorted(numbers) -> None:
    assert list(sort_numbered((number, str(number)) for number in numbers)) == [str(n) for n in range(8)]
