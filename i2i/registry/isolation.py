"""Running a plugin's code so that it cannot end the program: exits, false interrupts and closed streams."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import FrameType
from typing import Any, TextIO, cast


@contextmanager
def contained() -> Iterator[None]:
    """Turn whatever the block raises to end the program into an ordinary `Escape`; the user's Ctrl-C still ends it.

    Raises:
        Escape: The block raised ``SystemExit``, ``KeyboardInterrupt`` without a Ctrl-C, or another BaseException.
    """
    with _noticing() as pressed:
        try:
            yield
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pressed():
                raise
            raise Escape(error) from error


class Escape(Exception):
    """A plugin tried to end the program.

    Attributes:
        cause: What it raised.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def open_streams() -> Iterator[None]:
    """Keep standard output and error open, and in their places, whatever the block does to them."""
    out, err = cast("TextIO", _Unclosable(sys.stdout)), cast("TextIO", _Unclosable(sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


class _Unclosable:
    """A stream that cannot be closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def _noticing() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed in the block; only the main thread receives it."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield lambda: False
        return
    pressed: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        pressed.append(signum)
        previous(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, previous)
