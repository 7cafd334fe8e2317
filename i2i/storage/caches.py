"""Locating files in installed packages and in the caches of torch and Hugging Face, and downloading files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from platformdirs import user_cache_path

from i2i.errors import WeightsError
from i2i.storage.files import whole_file

Progress = Callable[[int, int], None]
TIMEOUT = 30
"""Timeout of a silent server, in seconds."""
_BLOCK = 2**20


def in_package(module: str, path: str) -> Path | None:
    """Return a file of an installed package, without importing it; None if missing."""
    spec = importlib.util.find_spec(module)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((file for folder in folders if (file := Path(folder) / path).is_file()), None)


def in_torch_cache(name: str) -> Path | None:
    """Return a file in torch's cache of downloaded weights; None if missing."""
    file = torch_cache() / name
    return file if file.is_file() else None


def in_hugging_face_cache(repository: str, names: Iterable[str]) -> Path | None:
    """Return the first of ``names`` in the newest cached revision of a Hugging Face repository, or None."""
    folder = _hugging_face_cache() / f"models--{repository.replace('/', '--')}"
    head = folder / "refs" / "main"
    snapshot = folder / "snapshots" / (head.read_text().strip() if head.is_file() else "main")
    return next((snapshot / name for name in names if (snapshot / name).is_file()), None)


def cache_folder() -> Path:
    """Return i2i's cache folder, which can be emptied at any time.

    It is in ``$XDG_CACHE_HOME`` or else the system's cache folder, ``~/.cache`` on Linux.
    """
    if not os.environ.get("XDG_CACHE_HOME"):
        return user_cache_path("i2i", appauthor=False)
    return _cache() / "i2i"  # joined here, since platformdirs ignores a folder that starts with ~


def torch_cache() -> Path:
    """Return the folder that torch downloads weights to; ``TORCH_HOME`` moves it."""
    return Path(os.environ.get("TORCH_HOME") or _cache() / "torch").expanduser() / "hub" / "checkpoints"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; an unchanged file is read once per process."""
    stat = path.stat()
    return _hashed(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2**17)  # more than the images of a data set, which are hashed in turn
def _hashed(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, target: Path, sha256: str, progress: Progress) -> None:
    """Download a file atomically.

    Args:
        url: The address.
        target: The file to write.
        sha256: Hash of the file, or a prefix of it; empty: not checked.
        progress: Called repeatedly with the bytes fetched and the total (0: unknown).

    Raises:
        WeightsError: The address does not respond, or sent something else.
        DataError: The file cannot be written.
    """
    with whole_file(target) as temporary:
        _download(url, temporary, progress)
        if not digest(temporary).startswith(sha256):
            raise WeightsError(
                f"{url} sent another file: its SHA-256 is {digest(temporary)}, not {sha256}. "
                "Nothing was kept; try again, or get the file elsewhere."
            )


def _hugging_face_cache() -> Path:
    home = Path(os.environ.get("HF_HOME") or _cache() / "huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _download(url: str, into: Path, progress: Progress) -> None:
    done = total = 0
    with into.open("wb") as file:
        for block, total in _blocks(url):
            done += file.write(block)
            progress(done, total)
    if done < total:
        raise WeightsError(f"{url} broke off after {done} of {total} bytes. Nothing was kept; try again.")


def _blocks(url: str) -> Iterator[tuple[bytes, int]]:
    """Yield the blocks of a download, each with the announced total size in bytes (0: unknown)."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(_BLOCK):
                yield block, total
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is an open response, too
        raise WeightsError(
            f"{url} does not answer ({_first_line(error)}). Check the connection, and try again."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
