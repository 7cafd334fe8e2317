"""Pictures in a page: strips of images in WebP, which the page lays out to fit its width."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from i2i.errors import DataError
from i2i.images.grids import Block, cut
from i2i.storage.run_folder import SAMPLES

SHARP, SMALL = 96, 72  # sides of an image in pixels: of what came out, and of what it was on the way
QUALITY = 82
FRAMES = 24  # steps that are shown at most
STRIPS = 120  # of them all together at most; many groups have fewer steps
MOVING = "translation"  # the row that changes from step to step
_STEP = re.compile(r"(?P<stage>[a-z]+)-(?P<step>\d+)")


@dataclass(frozen=True)
class Strip:
    """Images of one side, side by side: a label, and all of them as one data URI."""

    label: str
    picture: str


@dataclass(frozen=True)
class Gallery:
    """What became of one group's images: ``count`` of them in each strip, one below another."""

    group: str
    count: int
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Film:
    """Translations on the way.

    Attributes:
        galleries: The groups at the last step.
        frames: What each step is called, and its translations by group.
        left_out: How many steps are not shown.
    """

    galleries: Sequence[Gallery]
    frames: Sequence[tuple[str, dict[str, str]]]
    left_out: int


def galleries(path: Path, side: int = SHARP) -> list[Gallery]:
    """Return what a grid shows, a gallery a group; none where it is missing or does not tell what it consists of.

    Raises:
        DataError: The file is damaged.
    """
    return [
        Gallery(block.title, len(block.rows[0][1]), [Strip(label, strip(row, side)) for label, row in block.rows])
        for block in _blocks(path)
    ]


def whole(path: Path, width: int = 900) -> str:
    """Return a picture as one data URI, no wider than ``width`` pixels; empty where it is missing.

    Raises:
        DataError: The file is damaged.
    """
    if not path.is_file():
        return ""
    with _opened(path) as image:
        scale = min(1.0, width / image.width)
        return _encoded(image.convert("RGB").resize((round(image.width * scale), round(image.height * scale))))


def film(folder: Path, stages: Sequence[str]) -> Film | None:
    """Return the grids that were drawn on the way as a film; None where there are none.

    Only what is shown is opened: a long run has thousands of them.
    """
    paths = [path for stage in stages for path in sorted((folder / SAMPLES).glob(f"{stage}-*.png"))]
    last = galleries(paths[-1], SMALL) if paths else []
    if not last:
        return None
    shown = _spread(paths, max(4, min(FRAMES, STRIPS // len(last))))
    return Film(last, [_frame(path) for path in shown], len(paths) - len(shown))


def strip(images: Sequence[Image.Image], side: int) -> str:
    """Return images side by side as a data URI."""
    sheet = Image.new("RGB", (side * len(images), side))
    for number, image in enumerate(images):
        sheet.paste(image.resize((side, side), Image.Resampling.BICUBIC), (number * side, 0))
    return _encoded(sheet)


def _frame(path: Path) -> tuple[str, dict[str, str]]:
    moving = {block.title: row for block in _blocks(path) for label, row in block.rows if label == MOVING}
    return _name(path), {group: strip(images, SMALL) for group, images in moving.items()}


def _name(path: Path) -> str:
    found = _STEP.fullmatch(path.stem)
    return f"{found['stage']}, step {int(found['step'])}" if found else path.stem


def _blocks(path: Path) -> list[Block]:
    if not path.is_file():
        return []
    with _opened(path) as sheet:
        return cut(sheet)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; what is wrong with it may show only when it is used."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}). Restore or remove it.") from error


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """Return at most ``count`` of them, evenly, the first and the last included."""
    if len(paths) <= count:
        return list(paths)
    return [paths[round(i * (len(paths) - 1) / (count - 1))] for i in range(count)]


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
