"""Files that are written whole or not at all, and locks."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from i2i.errors import ConfigError, DataError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

REMEDY = "Free some space or choose another place."


@contextmanager
def whole_file(path: Path, remedy: str = REMEDY) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; when the block ends well it is synced and takes its place.

    Missing folders are made. When the block raises, nothing is left and an older file stays as it was.

    Args:
        path: The file.
        remedy: What the message says when the place cannot be written to.

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
    """Refuse to write over files that are there, unless asked to; and over what is read, even then.

    Folders that are missing are no mistake: `whole_file` makes them.

    Raises:
        ConfigError: A target exists, or is what it is to be made from.
    """
    read = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in read:
            raise ConfigError(f"{target} is what is read. Choose another --out.")
        if target.is_dir():
            raise ConfigError(f"{target} is a folder, which no file can replace. Choose another --out.")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target} exists already. Choose another --out, or replace it with --overwrite.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; the system frees it when the process dies.

    Raises:
        ConfigError: Something else holds it, and with it the folder.
        DataError: It cannot be made.
    """
    with _lock(path):
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held still, so that nobody else's is removed; Windows keeps the file
                path.unlink()


def _lock(path: Path) -> IO[str]:
    while True:
        file = _open(path)
        if not _acquire(file):
            raise ConfigError(f"{path.parent} is in use by {_holder(file)}. Wait until that ends, or stop it.")
        if _is_at(path, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            return file
        file.close()  # its holder removed it after it was opened here


def _holder(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read() or "another process"


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path.parent} cannot be written to ({error.strerror}). Choose another folder.") from error


def _acquire(file: IO[str]) -> bool:
    """Try to lock; say whether nobody else has. A file system without locks counts as free."""
    try:
        if sys.platform == "win32":
            file.seek(2**20)  # what is locked cannot be read, and the holder's name shall be
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _is_at(path: Path, file: IO[str]) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
