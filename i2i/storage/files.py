"""Files by name: which may be read or replaced, paths that stay in their folder, and atomic writing."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from i2i.errors import ConfigError, DataError

FRESH = 60
"""Seconds for which the temporary file of an unknown process is kept."""

_STEM = 40
"""Characters of its file's name that the name of a temporary file keeps, as names have at most 255 bytes."""

_TEMPORARY = re.compile(r"\..*\.(\d+)-\d+\.part.*")

REMEDY = "Free some space or choose another place."

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFREG: "a file", stat.S_IFLNK: "a link to nothing",
}  # fmt: skip


def oddity(path: Path, limit: int | None = None) -> str:
    """Say why ``path`` cannot be read as a file, to follow its name; "" if it can. A link counts as its target.

    Reading a pipe can wait forever, and a device never ends: only regular files are opened.

    Args:
        path: The file.
        limit: The most bytes that such a file may have; None: any number.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return f"is {_kind(status)}, not a regular file"
    if limit is not None and status.st_size > limit:
        return f"has {status.st_size} bytes, and such a file has at most {limit}"
    return ""


def _kind(status: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(status.st_mode), "something else")


def inside(folder: Path, name: str) -> Path:
    """Return the path of ``name`` in ``folder``, for names that come from a file or a plugin.

    Raises:
        DataError: The name leads out of the folder.
    """
    path = folder / name
    if path.name in ("", "..") or "\0" in name or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"The name {name!r} leads out of {folder}. Nothing was written; use a plain name.")
    return path


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made.

    Raises:
        DataError: It, or what it would lie in, is a file, link to nothing, device, pipe or socket.
    """
    if odd := _no_folder(folder):
        raise DataError(f"{odd}, so nothing can be written to {folder}. Choose another --out.")


def _no_folder(folder: Path) -> str:
    """Say what is in the way of a folder; "" if nothing is."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place) and not os.path.isdir(place):
            return f"{place} is {_kind(place.stat() if os.path.exists(place) else place.lstat())}, not a folder"
    return ""


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, if they are missing.

    Raises:
        DataError: It cannot be made.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror}). Choose another --out.") from error


@contextmanager
def whole_file(path: Path, remedy: str | None = None) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; if the block succeeds, sync it and replace ``path``.

    Missing folders are created. If the block raises, the temporary file is removed and ``path`` is unchanged.
    Only a regular file is ever replaced, or a link to one.

    Args:
        path: The file.
        remedy: How to fix an unwritable file, for the message; by default, what the reason suggests.

    Raises:
        DataError: The file cannot be written, or ``path`` is a folder, device, pipe or socket.
    """
    if _exists(path) and (odd := _special(path)):
        raise DataError(f"{path} {odd}, so it is not replaced. Choose another place.")
    if odd := _no_folder(path.parent):
        raise DataError(f"{path} cannot be written ({odd}). {remedy or 'Choose another place.'}")
    temporary = path.with_name(f".{path.stem[:_STEM]}.{os.getpid()}-{threading.get_ident()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}). {remedy or REMEDY}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files in a folder and its subfolders that killed processes of this machine left behind.

    A file changed within the last ``FRESH`` seconds is kept: on a shared disk, its process may run elsewhere.
    """
    for path in [*folder.glob(".*.part*"), *folder.glob("*/.*.part*")]:
        match = _TEMPORARY.fullmatch(path.name)
        with suppress(OSError, OverflowError):
            if match and not _is_running(int(match[1])) and time.time() - path.lstat().st_mtime > FRESH:
                path.unlink()


def is_vacant(folder: Path, ignored: str = "") -> bool:
    """Return whether a folder holds only temporary files and ``ignored``; what killed processes left is removed."""
    remove_leftovers(folder)
    return all(_TEMPORARY.fullmatch(path.name) or path.name == ignored for path in folder.iterdir())


def _is_running(process: int) -> bool:
    """Return whether a process of this machine runs; on Windows, where asking could interrupt it, always True."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_text(path: Path, text: str, remedy: str | None = None) -> None:
    """Write text as UTF-8, atomically; arguments and errors as for `whole_file`."""
    with whole_file(path, remedy) as temporary:
        temporary.write_text(text, encoding="utf-8")


def refuse_existing(targets: Iterable[Path], overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuse to overwrite existing files unless requested, and input files even then.

    Missing folders are fine: `whole_file` creates them.

    Raises:
        ConfigError: A target exists, is an input file, or is not a regular file, which is never replaced.
        DataError: The folder of a target cannot be made.
    """
    targets = list(targets)
    refuse_inputs(targets, sources)
    for folder in dict.fromkeys(target.parent for target in targets):
        check_folder(folder)
    for target in targets:
        if _exists(target) and (odd := _special(target)):
            raise ConfigError(f"{target} {odd}. Choose another --out.")
        if _exists(target) and not overwrite:
            raise ConfigError(f"{target} exists already. Choose another --out, or replace it with --overwrite.")


def refuse_inputs(targets: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuse to write over input files.

    Raises:
        ConfigError: A target is an input file.
    """
    read = {os.path.realpath(source) for source in sources}  # Path.resolve raises on a loop of links
    for target in targets:
        if os.path.realpath(target) in read:
            raise ConfigError(f"{target} is the input file. Choose another --out.")


def obstacle(path: Path) -> str:
    """Say why a file cannot be written where there is no regular file; "" if it can."""
    if odd := _special(path):
        return f"{path} {odd}. Choose another --out."
    return f"{path} is a link to nothing. Remove it, or choose another --out." if _exists(path) else ""


def _exists(path: Path) -> bool:
    """Return whether there is something at ``path``, be it a link to nothing."""
    return os.path.lexists(path)


def _special(path: Path) -> str:
    """Say what is at ``path``, to follow its name, if it is neither a regular file nor a link to nothing."""
    return oddity(path) if path.exists() else ""
