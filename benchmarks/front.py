"""Draw a small picture from a run's last sample grid: one held-out person per group, in three columns.

python benchmarks/front.py runs/avatars-ugatit-adapter/samples/transfer.png --person 2 --out docs/images/front.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pictures
from PIL import Image, ImageDraw, ImageFont

from i2i.images.grids import Block, cut, grid

COLUMNS = {"source": "source", "base model": "base model", "translation": "after transfer"}
CELL = 96


def main() -> None:
    options = _options()
    with Image.open(options.samples) as samples:
        samples.load()
    pictures.save(_front(cut(samples), options.person - 1), options.out)


def _front(blocks: list[Block], person: int) -> Image.Image:
    """Return one row per group, with the columns' names where a grid has its title."""
    rows = [(block.title, [dict(block.rows)[label][person] for label in COLUMNS]) for block in blocks]
    picture = grid([Block("", rows)], CELL)
    draw, step = ImageDraw.Draw(picture), (picture.width - 130) // len(COLUMNS)
    for number, name in enumerate(COLUMNS.values()):
        at = (130 + number * step + CELL / 2, 15)
        draw.text(at, name, "dimgray", ImageFont.load_default(14), anchor="mm")
    return picture


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="samples/transfer.png of a run")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--person", type=int, default=1, help="which held-out person of each group, counted from 1")
    return parser.parse_args()


if __name__ == "__main__":
    main()
