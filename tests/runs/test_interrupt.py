"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from i2i.runs.interrupt import Interrupt


@pytest.fixture
def outside() -> Iterator[list[int]]:
    """The SIGTERM that whoever handled it before receives."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


def test_a_signal_asks_to_stop_and_afterwards_the_former_handler_hears_it(outside):
    interrupt = Interrupt(twice=True)

    with interrupt.heard():
        signal.raise_signal(signal.SIGTERM)
        assert (interrupt.signal, outside) == (signal.SIGTERM, [])
    signal.raise_signal(signal.SIGTERM)

    assert outside == [signal.SIGTERM]


def test_what_is_ignored_meanwhile_stays_ignored(outside):
    with Interrupt(twice=True).heard():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.raise_signal(signal.SIGTERM)

    assert outside == []
