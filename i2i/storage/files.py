"""Atomic writing of files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from i2i.errors import ConfigError, DataError

REMEDY = "Free some space or choose another place."


@contextmanager
def whole_file(path: Path, remedy: str = REMEDY) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; if the block succeeds, sync it and replace ``path``.

    Missing folders are created. If the block raises, the temporary file is removed and ``path`` is unchanged.

    Args:
        path: The file.
        remedy: How to fix an unwritable file, for the message.

    Raises:
        DataError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}). {remedy}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str, remedy: str = REMEDY) -> None:
    """Write text as UTF-8, atomically; arguments and errors as for `whole_file`."""
    with whole_file(path, remedy) as temporary:
        temporary.write_text(text, encoding="utf-8")


def refuse_existing(targets: Iterable[Path], overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuse to overwrite existing files unless requested, and input files even then.

    Missing folders are fine: `whole_file` creates them.

    Raises:
        ConfigError: A target exists, or is an input file.
    """
    read = {os.path.realpath(source) for source in sources}  # Path.resolve raises on a loop of links
    for target in targets:
        if os.path.realpath(target) in read:
            raise ConfigError(f"{target} is the input file. Choose another --out.")
        if target.is_dir():
            raise ConfigError(f"{target} is a folder. Choose another --out.")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target} exists already. Choose another --out, or replace it with --overwrite.")
