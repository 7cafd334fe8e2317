"""Labelled grids of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFont

T = TypeVar("T")
LAYOUT = "i2i-layout"  # the metadata key of a grid's layout


@dataclass(frozen=True)
class Block:
    """One titled part of a grid: rows of images, each with a label."""

    title: str
    rows: list[tuple[str, list[Image.Image]]]


def grid(blocks: list[Block], cell: int = 96) -> Image.Image:
    """Stack blocks vertically, each with its title and labelled rows of ``cell`` x ``cell`` images.

    Written as PNG, a grid records its layout for `cut`.
    """
    gap, label, title = 4, 130, 30
    columns = max(len(images) for block in blocks for _, images in block.rows)
    heights = [title + len(block.rows) * (cell + gap) for block in blocks]
    sheet = Image.new("RGB", (label + columns * (cell + gap), sum(heights) + gap), "white")
    draw, top, layout = ImageDraw.Draw(sheet), 0, []
    for block, height in zip(blocks, heights, strict=True):
        draw.text((gap, top + title / 2), block.title, "black", ImageFont.load_default(17), anchor="lm")
        places: list[tuple[str, list[tuple[int, int, int]]]] = []
        for row, (text, images) in enumerate(block.rows):
            y = top + title + row * (cell + gap)
            draw.text((gap, y + cell / 2), text, "dimgray", ImageFont.load_default(14), anchor="lm")
            for column, image in enumerate(images):
                sheet.paste(image.resize((cell, cell), Image.Resampling.BICUBIC), (label + column * (cell + gap), y))
            places.append((text, [(label + column * (cell + gap), y, cell) for column in range(len(images))]))
        layout.append((block.title, places))
        top += height
    sheet.info[LAYOUT] = json.dumps(layout)
    return sheet


def cut(sheet: Image.Image) -> list[Block]:
    """Split a grid written as PNG into its blocks, with images at the drawn size.

    Returns:
        The blocks; none for an image without a layout.
    """
    return [
        Block(title, [(label, [_square_of(sheet, *at) for at in places]) for label, places in rows])
        for title, rows in json.loads(sheet.info.get(LAYOUT, "[]"))
    ]


def _square_of(sheet: Image.Image, left: int, top: int, side: int) -> Image.Image:
    return sheet.crop((left, top, left + side, top + side))


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` items to show, evenly spaced, starting with the first."""
    step = max(1, len(items) / count) if count else 1
    return [items[int(i * step)] for i in range(min(count, len(items)))]
