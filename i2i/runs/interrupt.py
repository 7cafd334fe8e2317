"""Ctrl-C as a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Turns Ctrl-C into a request to stop after the current step.

    Args:
        twice: A second Ctrl-C interrupts immediately. Off for several processes: torchrun forwards a Ctrl-C that the
            terminal has already sent to all of them.

    Attributes:
        requested: Whether to stop.
    """

    def __init__(self, twice: bool) -> None:
        self.requested, self._twice = False, twice

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Handle Ctrl-C inside the block; does nothing outside the main thread, which alone receives signals."""
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
