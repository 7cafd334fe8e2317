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


class Hold:
    """A folder with a held lock file.

    Args:
        path: The lock file, held by this process; a file system without locks may not have it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = {one: _identity(one) for one in (path.parent, path) if one.exists()}

    def check(self) -> None:
        """Refuse to go on if the folder or the lock file is no longer there, or another has taken its place.

        Raises:
            DataError: So it is. Writing would make the folder again, or disturb the command that now uses it.
        """
        gone = next((one for one, identity in self._known.items() if _identity(one) != identity), None)
        if gone is not None:
            what, folder = "replaced" if gone.exists() else "moved or removed", self._path.parent
            remedy = "Put it back" if gone == folder else "Make sure that no other command uses the folder"
            raise DataError(
                f"{gone} was {what} while this command used {folder}, where nothing more is written. {remedy}, then "
                "repeat or resume the command."
            )

    @property
    def lasts(self) -> bool:
        """Whether the lock file is still that of this process."""
        return self._path in self._known and _identity(self._path) == self._known[self._path]


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from others that get its name; None if there is none."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise DataError(f"{path} cannot be reached ({error.strerror}). Check its disk, then resume.") from error
        return None
    return status.st_dev, status.st_ino


@contextmanager
def locked(path: Path) -> Iterator[Hold]:
    """Hold the lock file ``path`` during the block; the system releases it if the process dies.

    Temporary files that killed processes left in the folder are removed.

    On file systems without locks, always succeed.

    Raises:
        ConfigError: The lock is held, so the folder is in use.
        DataError: It cannot be created; or the block raised, and the folder or the lock has vanished.
    """
    lock = FileLock(path, on_acquired=_sign)
    _acquire(lock, path)
    remove_leftovers(path.parent)
    hold = Hold(path)
    try:
        yield hold
    except OSError:
        hold.check()
        raise
    finally:
        with suppress(OSError):  # while still held, so that no other holder's file is removed; Windows keeps the file
            if hold.lasts:
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
