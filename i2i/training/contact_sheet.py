"""The contact sheet of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.images.files import read_image
from i2i.images.grids import Block
from i2i.images.pixels import crop_centre, fit_short_side


def blocks_of(dataset: Dataset, most: int, cell: int) -> list[Block]:
    """Return one block per group with a row for each part and domain that has images.

    Args:
        dataset: The data set.
        most: Most images per row, spread evenly over those there are.
        cell: Side of each square in pixels.

    Raises:
        DataError: An image cannot be read.
    """
    return [Block(_title(dataset, group), _rows(dataset, group, most, cell)) for group in dataset.groups]


def _title(dataset: Dataset, group: str) -> str:
    return f"{group} (base)" if group == dataset.base else group


def _rows(dataset: Dataset, group: str, most: int, cell: int) -> list[tuple[str, list[Image.Image]]]:
    parts = {"train": dataset.train, "test": dataset.test}
    listed = [(f"{name} {domain}", part(group, domain)) for name, part in parts.items() for domain in DOMAINS]
    return [
        (f"{label}: {len(paths)}", [_square(path, cell) for path in _spread(paths, most)])
        for label, paths in listed
        if paths
    ]


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    count = min(most, len(paths))
    return [paths[number * len(paths) // count] for number in range(count)]


def _square(path: Path, cell: int) -> Image.Image:
    return crop_centre(fit_short_side(read_image(path), cell), cell)
