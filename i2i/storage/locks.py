"""Locks on folders."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from i2i.errors import ConfigError, DataError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


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
