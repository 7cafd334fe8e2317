"""Pictures in a page: images as WebP strips, which the page wraps to its width."""

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

SHARP, SMALL = 96, 72  # side of an image in pixels: final results, and during training
QUALITY = 82
FRAMES = 24  # maximum number of steps shown
STRIPS = 120  # maximum over all groups; many groups mean fewer steps
MOVING = "translation"  # the row that changes from step to step
_STEP = re.compile(r"(?P<stage>[a-z]+)-(?P<step>\d+)")


@dataclass(frozen=True)
class Strip:
    """``count`` images of the same size side by side, with a label, as one data URI."""

    label: str
    picture: str
    count: int


@dataclass(frozen=True)
class Gallery:
    """One group's images: stacked strips, the longest with ``count`` images."""

    group: str
    count: int
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Film:
    """Translations during training.

    Attributes:
        galleries: The groups at the last step.
        frames: Title and translations by group of each step.
        left_out: Number of steps not shown.
    """

    galleries: Sequence[Gallery]
    frames: Sequence[tuple[str, dict[str, str]]]
    left_out: int


def galleries(path: Path, side: int = SHARP) -> list[Gallery]:
    """Return one gallery per group of a grid; none if the file is missing or lacks layout metadata.

    Raises:
        DataError: The file is damaged.
    """
    return [
        Gallery(
            block.title,
            max(len(row) for _, row in block.rows),
            [Strip(label, strip(row, side), len(row)) for label, row in block.rows],
        )
        for block in _blocks(path)
    ]


def whole(path: Path, width: int = 900) -> str:
    """Return a picture as a data URI, at most ``width`` pixels wide; empty if it is missing.

    Raises:
        DataError: The file is damaged.
    """
    if not path.is_file():
        return ""
    with _opened(path) as image:
        scale = min(1.0, width / image.width)
        return _encoded(image.convert("RGB").resize((round(image.width * scale), round(image.height * scale))))


def film(folder: Path, stages: Sequence[str]) -> Film | None:
    """Return the sample grids written during training as a film; None if there are none.

    Opens only the grids shown, since a long run has thousands.
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
    match = _STEP.fullmatch(path.stem)
    return f"{match['stage']}, step {int(match['step'])}" if match else path.stem


def _blocks(path: Path) -> list[Block]:
    if not path.is_file():
        return []
    with _opened(path) as sheet:
        return cut(sheet)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; also handles errors inside the block, since decoding is lazy."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is not a readable image ({error}). Restore or delete it.") from error


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """Return at most ``count`` paths, evenly spaced, including the first and the last."""
    if len(paths) <= count:
        return list(paths)
    return [paths[round(i * (len(paths) - 1) / (count - 1))] for i in range(count)]


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
