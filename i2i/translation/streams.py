"""Standard input and output as image files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

STREAM = "-"
"""Stands for standard input among images, and for standard output as the place of a translation."""


@contextmanager
def streams_as_files(images: Sequence[str], out: str, suffix: str | None) -> Iterator[tuple[list[str], str]]:
    """Yield images and place with temporary files in place of ``-``; then copy the translation to standard output.

    Args:
        images: Files, folders, globs, or ``-``.
        out: A folder, a file, or ``-``.
        suffix: The format of a translation on standard output; None is PNG.
    """
    if STREAM not in (*images, out):
        yield list(images), out
        return
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "standard-input"), Path(folder, f"standard-output{suffix or '.png'}")
        if STREAM in images:
            source.write_bytes(sys.stdin.buffer.read())
        yield [str(source) if one == STREAM else one for one in images], str(target) if out == STREAM else out
        if out == STREAM and target.exists():  # another process may have had the image
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()
