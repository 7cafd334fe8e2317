"""Signals to stop as a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the end of a job or a machine, and a closed terminal; Windows lacks the last."""


class Interrupt:
    """Turns `SIGNALS` into a request to stop after the current step.

    Args:
        twice: A second Ctrl-C interrupts immediately. Off for several processes: torchrun forwards a Ctrl-C that the
            terminal has already sent to all of them.

    Attributes:
        signal: The number of the first signal; 0 before it.
    """

    def __init__(self, twice: bool) -> None:
        self.signal, self._twice = 0, twice

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Handle the signals inside the block; does nothing outside the main thread, which alone receives them.

        Signals that the process ignores, as under ``nohup``, stay ignored, and so do those that the block ignores.
        """
        self.signal = 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(signum: int, frame: FrameType | None) -> None:
            self.signal = self.signal or signum
            if self._twice and signum == signal.SIGINT:
                signal.signal(signum, previous[signum])

        previous = {one: signal.signal(one, ask) for one in SIGNALS if _is_heeded(one)}
        try:
            yield
        finally:
            for one, handler in previous.items():
                if signal.getsignal(one) is ask:
                    signal.signal(one, handler)


def _is_heeded(one: int) -> bool:
    """Return whether to handle a signal; shells let commands in the background ignore Ctrl-C, but not ``kill -INT``."""
    return one == signal.SIGINT or signal.getsignal(one) is not signal.SIG_IGN
