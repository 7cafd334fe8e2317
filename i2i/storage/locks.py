"""Locks on folders."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from i2i.errors import ConfigError, DataError
from i2i.storage.files import remove_leftovers

WAIT = 0.1
"""Seconds to keep trying, enough for a lock file that its holder has just removed."""
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` during the block; the system releases it if the process dies.

    Temporary files that killed processes left in the folder are removed.

    On file systems without locks, always succeed.

    Raises:
        ConfigError: The lock is held, so the folder is in use.
        DataError: It cannot be created.
    """
    lock = FileLock(path, on_acquired=_sign)
    _acquire(lock, path)
    remove_leftovers(path.parent)
    try:
        yield
    finally:
        with suppress(OSError):  # while still held, so that no other holder's file is removed; Windows keeps the file
            path.unlink()
        lock.release()


def _acquire(lock: FileLock, path: Path) -> None:
    try:
        path.parent.stat()  # filelock would create a missing folder
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise ConfigError(f"{path.parent} is in use by {_holder(path)}. Wait until that ends, or stop it.") from error
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise DataError(f"{path.parent} cannot be written to ({error.strerror}). Choose another folder.") from error


def _sign(descriptor: int) -> None:
    """Write the holder's name from the second byte on; Windows locks the first, so others cannot read it."""
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f" process {os.getpid()} on {platform.node()}".encode())


def _holder(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(1)
        return file.read().decode() or "another process"
    return "another process"
