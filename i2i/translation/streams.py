"""Standard input and output as image files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from i2i.errors import DataError, I2IError

STREAM = "-"
"""Stands for standard input among images, and for standard output as the place of a translation."""
MOST = 2**30
"""Most bytes of standard input, which may never end."""
_PREFIX = "i2i-stream-"
_FILE = re.compile(rf"[^\s'\"]*{_PREFIX}\w+/standard-(input|output)[^\s'\":,;)]*(?<!\.)")
"""The path of a temporary file in a message."""


@contextmanager
def streams_as_files(images: Sequence[str], out: str, suffix: str | None) -> Iterator[tuple[list[str], str]]:
    """Yield images and place with temporary files in place of ``-``; then copy the translation to standard output.

    Args:
        images: Files, folders, globs, or ``-``.
        out: A folder, a file, or ``-``.
        suffix: The format of a translation on standard output; None is PNG.

    Raises:
        I2IError: As the block raises it, about the streams instead of the temporary files.
    """
    if STREAM not in (*images, out):
        yield list(images), out
        return
    with TemporaryDirectory(prefix=_PREFIX) as folder, _named_errors():
        source, target = Path(folder, "standard-input"), Path(folder, f"standard-output{suffix or '.png'}")
        if STREAM in images:
            _save_input(source)
        yield [str(source) if one == STREAM else one for one in images], str(target) if out == STREAM else out
        if out == STREAM and target.exists():  # another process may have had the image
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()


def name_streams(text: str) -> str:
    """Name the streams in a message in place of their temporary files."""
    return _FILE.sub(r"standard \1", text)


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except I2IError as error:
        error.args = tuple(name_streams(str(one)) for one in error.args)
        raise


def _save_input(path: Path) -> None:
    if sys.stdin is None:
        raise DataError("Standard input is closed. Name image files, or send an image to i2i translate.")
    with path.open("wb") as file:
        while chunk := sys.stdin.buffer.read(2**20):
            file.write(chunk)
            if file.tell() > MOST:
                raise DataError(f"Standard input has more than {MOST} bytes. Send one image, or name its file.")
