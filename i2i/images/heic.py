"""HEIC, the format of many phones, which Pillow reads and writes only with another package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from i2i.errors import DataError

HEIC_SUFFIXES = (".heic", ".heif")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")


def is_heic(path: Path) -> bool:
    """Return whether a file is HEIC by its first bytes, whatever its name."""
    with path.open("rb") as file:
        start = file.read(64)
    return start[4:8] == b"ftyp" and any(start[at : at + 4] in _BRANDS for at in range(8, len(start), 4))


def enable_heic(path: Path) -> None:
    """Let Pillow read and write HEIC.

    Raises:
        DataError: The package is not installed; the message names ``path``.
    """
    if find_spec("pillow_heif") is None:
        raise DataError(f"{path} is a HEIC image, which needs an extra. Install it: pip install 'i2i[heic]'.")
    import pillow_heif

    pillow_heif.register_heif_opener()
