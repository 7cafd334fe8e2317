"""Vector drawings, rasterised once to PNG files in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image

from i2i import DataError, whole_file

# Left, top and side of the square to keep, as fractions of the canvas.
Box = tuple[float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0)
RASTERISER = ("resvg-py", "resvg_py")


def locate(distribution: str, package: str, extra: str = "emoji") -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        DataError: It is not installed; the message names the extra of i2i that installs it.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next(map(Path, folders), None) or refuse_missing(distribution, extra)


def refuse_missing(distribution: str, extra: str) -> NoReturn:
    """Raise a `DataError` that names the extra with the missing package."""
    raise DataError(
        f"The {extra} data set needs the extra '{extra}': pip install 'i2i[{extra}]' "
        f"(package '{distribution}' is missing)."
    )


def recipe(*decisive: object) -> str:
    """Return a short hash of the rasteriser's version and of everything else that determines the pixels."""
    ingredients = (importlib.metadata.version(RASTERISER[0]), *decisive)
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()[:8]


def kept(path: Path, draw: Callable[[], Image.Image]) -> Path:
    """Return ``path``, a PNG file, which is drawn first if it does not exist yet.

    Raises:
        DataError: The folder cannot be written to.
    """
    if not path.exists():
        with whole_file(path, "Set XDG_CACHE_HOME to a writable folder.") as temporary:
            draw().save(temporary)
    return path


def rasterise(svg: Path | str, side: int, box: Box = WHOLE, extra: str = "emoji") -> Image.Image:
    """Draw the part ``box`` of an SVG as ``side`` x ``side`` RGB pixels on white.

    Args:
        svg: A file, or the SVG itself.
        side: Width and height in pixels.
        box: The part of the canvas to keep.
        extra: The extra of i2i that installs the drawings, for the error message.

    Raises:
        DataError: It is not an SVG.
    """
    import resvg_py

    left, top, width = box
    canvas = round(side / width)
    source: dict[str, Any] = {"svg_path": str(svg)} if isinstance(svg, Path) else {"svg_string": svg}
    try:
        png = resvg_py.svg_to_bytes(**source, width=canvas, height=canvas, background="white", skip_system_fonts=True)
    except ValueError as error:
        what = svg if isinstance(svg, Path) else "An avatar"
        raise DataError(
            f"{what} cannot be drawn ({error}). Reinstall the extra: pip install 'i2i[{extra}]'."
        ) from error
    x, y = round(left * canvas), round(top * canvas)
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").crop((x, y, x + side, y + side))
