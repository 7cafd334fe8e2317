"""Where commands print. Output that cannot be written degrades or is lost, but never ends a command."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from contextvars import ContextVar
from enum import IntEnum
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.text import Text

JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
"""The option of commands that list or measure something."""
WIDE = 10_000
"""Columns where there is no terminal, so that no table cuts or wraps its cells."""


class Volume(IntEnum):
    """How much commands print: results, warnings and errors alone; remarks and progress, too; details, too."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


VOLUMES = {"--quiet": Volume.QUIET, "-q": Volume.QUIET, "--verbose": Volume.VERBOSE, "-v": Volume.VERBOSE}
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and those that turn the direction of writing."""

volume: ContextVar[Volume] = ContextVar("volume", default=Volume.NORMAL)
"""What the user asked for by ``--quiet`` or ``--verbose``."""


def set_volume(arguments: Sequence[str]) -> None:
    """Set the volume that a command line asks for; the last flag counts."""
    volume.set(next((VOLUMES[flag] for flag in reversed(arguments) if flag in VOLUMES), Volume.NORMAL))


def open_remarks(*, error: bool = False, quiet: bool = False, soft_wrap: bool = True) -> Console:
    """Return a console for remarks and progress, which ``--quiet`` silences."""
    return open_console(error=error, quiet=quiet or volume.get() is Volume.QUIET, soft_wrap=soft_wrap)


def print_json(content: object) -> None:
    """Print content as JSON, the same on a terminal and in a file."""
    open_console().out(json.dumps(content, indent=2, ensure_ascii=False, default=str), highlight=False)


def printable(text: str) -> str:
    """Replace the characters by which a file's name or content could steer a terminal, as Python would write them."""
    return _STEERING.sub(lambda match: ascii(match[0])[1:-1], text)


class _Console(Console):
    """Prints text of any origin; styles come from markup alone. Without a terminal, no line ends in spaces."""

    def print(self, *objects: Any, **options: Any) -> None:
        if self.is_terminal or self.quiet:
            super().print(*objects, **options)
            return
        with self.capture() as padded:
            super().print(*objects, **options)
        self.file.write(re.sub(" +\n", "\n", padded.get()))

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def open_console(*, error: bool = False, quiet: bool = False, soft_wrap: bool = True) -> Console:
    """Return a console on standard output or error, as wide as the terminal, or without limit if there is none."""
    console = _Console(stderr=error, quiet=quiet, soft_wrap=soft_wrap)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


@contextmanager
def lasting_output() -> Iterator[None]:
    """Keep standard output and error usable inside the block, whatever happens to their files.

    Characters that the encoding lacks become ``?``. After a closed pipe, a vanished terminal or a full disk, the
    rest of the output is dropped; a full disk is mentioned on standard error.
    """
    if logging.lastResort is not None:  # where notes go unless a program sets up logging
        logging.lastResort.setFormatter(_Formatter())
    with ExitStack() as streams:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is not None:
                lasting: Any = _Lasting(stream)
                streams.enter_context(redirect(lasting))
                streams.callback(lasting.flush)
        yield


class _Lasting:
    """A text stream whose writes do not fail; everything else is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush if possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: Exception) -> None:
        """Send what is buffered, and all that follows, to nowhere."""
        with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and self._stream is sys.__stdout__:
            open_console(error=True).print(f"Standard output cannot be written ({error.strerror}). Work goes on.")
