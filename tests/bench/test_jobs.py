"""Calls at the same time, with results in order."""

from __future__ import annotations

import os
import threading

import pytest

from i2i.bench.jobs import in_order, threads_each


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_order(jobs):
    with in_order(jobs) as apply:
        assert list(apply(lambda number: number * 2, [3, 1, 2])) == [6, 2, 4]


def test_calls_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=30)
    with in_order(2) as apply:
        assert sorted(apply(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_calls_that_wait_are_dropped_when_the_block_raises():
    started, go = [], threading.Event()

    def call(number):
        started.append(number)
        go.wait(30)

    def interrupt():
        with in_order(2) as apply:
            apply(call, range(10))
            threading.Timer(0.2, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert len(started) < 10


def test_threads_are_shared(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [threads_each(jobs) for jobs in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
