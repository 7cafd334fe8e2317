"""Ctrl-C as a wish to stop at a good moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """What Ctrl-C does to a training: it asks for a stop after the step at hand.

    Args:
        twice: A second Ctrl-C interrupts at once. Several processes only ever ask: torchrun passes on a Ctrl-C that
            the terminal has sent to all of them already.

    Attributes:
        requested: Somebody has asked.
    """

    def __init__(self, twice: bool) -> None:
        self.requested, self._twice = False, twice

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to Ctrl-C inside the block; outside of the main thread, which alone gets signals, to nothing."""
        self.requested = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(signum: int, frame: FrameType | None) -> None:
            self.requested = True
            if self._twice:
                signal.signal(signal.SIGINT, previous)

        previous = signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)
