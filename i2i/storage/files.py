"""Files that are written whole or not at all."""

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
    """Yield a temporary path beside ``path``; when the block succeeds it is synced and replaces ``path``.

    Missing folders are made. When the block raises, nothing is left and an older file stays as it was.

    Args:
        path: The file.
        remedy: The remedy in the message when the file cannot be written.

    Raises:
        DataError: The place cannot be written to.
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
    """Write a text as UTF-8, whole or not at all; arguments and errors are those of `whole_file`."""
    with whole_file(path, remedy) as temporary:
        temporary.write_text(text, encoding="utf-8")


def refuse_existing(targets: Iterable[Path], overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuse to overwrite existing files unless requested, and input files even then.

    Missing folders are no mistake: `whole_file` creates them.

    Raises:
        ConfigError: A target exists, or is an input file.
    """
    read = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in read:
            raise ConfigError(f"{target} is the input file. Choose another --out.")
        if target.is_dir():
            raise ConfigError(f"{target} is a folder. Choose another --out.")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target} exists already. Choose another --out, or replace it with --overwrite.")
