"""Two calls at the same time, each with half of the CPU threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from multiprocessing import get_context

import pytest
import torch

from i2i.compute.concurrency import Concurrency
from i2i.compute.threads import kept_threads

mark: ContextVar[str] = ContextVar("mark", default="none")


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    with kept_threads():
        torch.set_num_threads(4)
        yield


def test_two_calls_meet_and_share_the_threads() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def meet(item: str) -> tuple[str, int]:
        meeting.wait()
        return item, torch.get_num_threads()

    concurrency = Concurrency(allowed=True)
    with concurrency.shared():
        assert concurrency.active
        assert concurrency.map(meet, ("a", "b")) == [("a", 2), ("b", 2)]
        assert torch.get_num_threads() == 2
    assert not concurrency.active
    assert torch.get_num_threads() == 4


def test_an_item_always_has_the_same_thread_even_if_it_is_busy() -> None:
    concurrency, started, go = Concurrency(allowed=True), threading.Event(), threading.Event()

    def block(item: str) -> None:
        if item == "b":
            started.set()
            go.wait(20)

    with concurrency.shared():
        first = concurrency.map(lambda item: threading.get_ident(), ("a", "b"))
        blocking = threading.Thread(target=concurrency.map, args=(block, ("a", "b")))
        blocking.start()
        started.wait(20)
        threading.Timer(0.2, go.set).start()
        later = concurrency.map(lambda item: threading.get_ident(), ("a", "b"))
        blocking.join(20)
    assert first == later
    assert first[0] == threading.get_ident() != first[1]


@pytest.mark.parametrize(("allowed", "threads"), [(False, 4), (True, 1)])
def test_calls_run_in_turn_without_permission_or_a_second_thread(allowed: bool, threads: int) -> None:
    torch.set_num_threads(threads)
    concurrency = Concurrency(allowed)
    with concurrency.shared():
        assert torch.get_num_threads() == threads
        assert concurrency.map(lambda item: threading.get_ident(), ("a", "b")) == [threading.get_ident()] * 2


def test_calls_run_in_turn_outside_of_a_shared_block() -> None:
    assert Concurrency(allowed=True).map(lambda item: threading.get_ident(), ("a", "b")) == [threading.get_ident()] * 2


@pytest.mark.parametrize("with_gradient", [True, False])
def test_both_calls_have_the_callers_context_and_gradient_mode(with_gradient: bool) -> None:
    concurrency, token = Concurrency(allowed=True), mark.set("here")
    with concurrency.shared(), torch.set_grad_enabled(with_gradient):
        seen = concurrency.map(lambda item: (mark.get(), torch.is_grad_enabled()), ("a", "b"))
    mark.reset(token)
    assert seen == [("here", with_gradient)] * 2


@pytest.mark.parametrize("broken", ["a", "b"])
def test_an_error_of_either_call_comes_after_the_end_of_both(broken: str) -> None:
    ended = []

    def run(item: str) -> None:
        if item == broken:
            raise ValueError(item)
        ended.append(item)

    concurrency = Concurrency(allowed=True)
    with pytest.raises(ValueError, match=broken), concurrency.shared():
        concurrency.map(run, ("a", "b"))
    assert len(ended) == 1
    assert torch.get_num_threads() == 4
    assert not concurrency.active


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_has_a_thread_of_its_own() -> None:
    concurrency = Concurrency(allowed=True)
    with concurrency.shared():
        concurrency.map(str, ("a", "b"))
        child = get_context("fork").Process(target=concurrency.map, args=(str, ("a", "b")))
        child.start()
        child.join(20)
        ended = child.exitcode
        child.kill()
    assert ended == 0
