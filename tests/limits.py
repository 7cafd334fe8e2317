"""Limits on what a block of a test may take."""

from __future__ import annotations

import faulthandler
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SECONDS = 30.0
MEBIBYTES = 1536
"""Beyond what the process takes before: with the 400 MiB of Python and torch, a command stays below 2 GiB."""

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Hang(BaseException):
    """The block took too long; no handler of ordinary exceptions stops it."""


@contextmanager
def bounded(seconds: float = SECONDS, mebibytes: int = MEBIBYTES) -> Iterator[None]:
    """Fail if the block takes longer, or, on Linux, if the memory of the process grows by more at any moment in it.

    Code that never returns to the interpreter ends the process after twice the time.
    """
    previous = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=sys.__stderr__)
    before, begun = _start_of_memory(), time.monotonic()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    taken, grown = time.monotonic() - begun, _memory("VmHWM") - before
    assert taken <= seconds, f"it took {taken:.1f} s"
    assert grown <= mebibytes, f"it took {grown:.0f} MiB"


def _stop(signum: int, frame: FrameType | None) -> None:
    raise Hang


def _start_of_memory() -> float:
    """Return the memory of the process in MiB, from which its peak is counted on."""
    if _RESET.exists():
        _RESET.write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """Return a line of the process's status in MiB; 0 on other systems than Linux."""
    if not _STATUS.exists():
        return 0
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
