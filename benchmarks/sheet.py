"""Draw what models make of the same held-out people, to be judged by eye.

    python benchmarks/sheet.py runs/base --out sheet.png --groups woman --people 24
    python benchmarks/sheet.py runs/branch runs/finetune/steps/transfer-000100.safetensors --out sheet.png --people 8

The people are evenly spaced over each group's held-out images in the order of their names, so that a sheet of another
run shows the same people. They are those of the data that the first run was trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pictures
from PIL import Image

import i2i
from i2i.images.grids import Block, grid, spread
from i2i.storage.run_folder import run_folder

COLUMNS = 12


def main() -> None:
    options = _options()
    data = i2i.open_run(_folder(options.runs[0])).dataset
    models = {_label(path): i2i.load(path) for path in options.runs}
    blocks = [
        Block(
            f"{group} {first + 1}-{first + len(row)}" if options.people > COLUMNS else group, _rows(models, group, row)
        )
        for group in options.groups or data.groups
        for first, row in _cut(spread(data.test(group, "a"), options.people))
    ]
    pictures.save(grid(blocks, options.cell), options.out)


def _rows(models: dict[str, i2i.Model], group: str, people: list[Path]) -> list[tuple[str, list[Image.Image]]]:
    sources = [i2i.read_image(path) for path in people]
    translated = {
        label: [model.translate(source, group if group in model.groups else None) for source in sources]
        for label, model in models.items()
    }
    return [("source", sources), *translated.items()]


def _cut(people: list[Path]) -> list[tuple[int, list[Path]]]:
    return [(first, people[first : first + COLUMNS]) for first in range(0, len(people), COLUMNS)]


def _folder(path: Path) -> Path:
    return run_folder(path) or path


def _label(path: Path) -> str:
    return path.name if path.is_dir() else f"{_folder(path).name} {path.stem.rpartition('-')[2]}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or models in them")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--groups", nargs="*", help="by default all")
    parser.add_argument("--cell", type=int, default=64, help="side of each picture in pixels")
    parser.add_argument("--people", type=int, default=12, help="per group")
    return parser.parse_args()


if __name__ == "__main__":
    main()
