"""The contact sheet of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.errors import ConfigError
from i2i.images.files import MAX_PIXELS
from i2i.images.grids import Block, spread
from i2i.images.pixels import read_square


def blocks_of(dataset: Dataset, most: int, cell: int) -> list[Block]:
    """Return one block per group with a row for each part and domain that has images.

    Args:
        dataset: The data set.
        most: Most images per row, spread evenly over those there are.
        cell: Side of each square in pixels.

    Raises:
        ConfigError: The sheet would be too large.
        DataError: An image cannot be read.
    """
    listed = {_title(dataset, group): _listed(dataset, group) for group in dataset.groups}
    counts = [min(most, len(paths)) for rows in listed.values() for _, paths in rows]
    if len(counts) * max(counts) * cell**2 > MAX_PIXELS:
        raise ConfigError(
            f"A sheet of {len(counts)} rows of up to {max(counts)} images, each {cell} x {cell} pixels, is larger than "
            f"{MAX_PIXELS} pixels. Choose a smaller --cell, or fewer --images."
        )
    return [
        Block(title, [(label, [read_square(path, cell) for path in spread(paths, most)]) for label, paths in rows])
        for title, rows in listed.items()
    ]


def _title(dataset: Dataset, group: str) -> str:
    return f"{group} (base)" if group == dataset.base else group


def _listed(dataset: Dataset, group: str) -> list[tuple[str, Sequence[Path]]]:
    """Return the images of each row, with its label."""
    parts = {"train": dataset.train, "test": dataset.test}
    listed = [(f"{name} {domain}", part(group, domain)) for name, part in parts.items() for domain in DOMAINS]
    return [(f"{label}: {len(paths)}", paths) for label, paths in listed if paths]
