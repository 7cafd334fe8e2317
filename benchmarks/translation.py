"""Time ``i2i translate`` against one image at a time through the layers as published, side by side.

    python benchmarks/translation.py [--size 256] [--channels 64] [--images 48] [--threads 2] [--rounds 3] [-- OPTIONS]

``OPTIONS`` go to ``i2i translate``. The plain side has an untrained U-GAT-IT of the same weights with its layers as
published: up-sampling before the convolution, normalisation from plain statistics, the attention's maps concatenated.
It reads, translates and writes one image after the other, with gradients and the default allocator, as the published
code does; only one of the three generator calls of the published test is counted. Each measurement is a process of
its own, timed from its start to its end, imports and loading included; the two alternate. Images are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from published import publish
from records import Benchmark, Round, median, ratios
from turns import timed

from i2i import load, read_image, save
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import installed


def main() -> None:
    options = _options()
    if options.plain:
        translate_plainly(*map(Path, options.plain))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options)


def translate_plainly(model: Path, images: Path, out: Path) -> None:
    """Translate a folder, one image after the other."""
    out.mkdir()
    generator = publish(load(model, judges=True).backbone.eval().generators["a2b"])
    for path in sorted(images.iterdir()):
        x = torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)[None] / 127.5 - 1
        y = generator(x).image[0]
        pixels = ((y + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(out / path.name, quality=95, subsampling=0)


def _compare(folder: Path, options: argparse.Namespace) -> None:
    _prepare(folder, options)
    given = ", ".join([f"U-GAT-IT {options.size} px", f"{options.channels} channels", f"{options.images} images"])
    case = " ".join([given, *options.rest])
    for number in range(options.rounds):
        TRANSLATION.measure(case, options.threads, number, lambda number=number: _round(folder, number, options))
    TRANSLATION.write_table()


def _prepare(folder: Path, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    given = {"size": options.size, "backbone": {"name": "ugatit", "channels": options.channels}}
    save(Model(resolve(given, installed()), "a"), folder / "model.safetensors")
    (folder / "images").mkdir()
    for number in range(options.images):
        noise = Image.effect_noise((options.size // 8,) * 2, 100).convert("RGB")
        noise.resize((options.size,) * 2, Image.Resampling.BICUBIC).save(folder / "images" / f"{number:04}.png")


def _round(folder: Path, number: int, options: argparse.Namespace) -> dict[str, Any]:
    places = {name: folder / f"{name}-{number}" for name in ("plain", "ours")}
    model, images = str(folder / "model.safetensors"), str(folder / "images")
    commands = {
        "plain": [__file__, "--plain", model, images, str(places["plain"])],
        "ours": ["-m", "i2i", "translate", model, images, "--out", str(places["ours"]), *options.rest],
    }
    turn = {name: _measure(command, places[name], options.threads) for name, command in commands.items()}
    return {"turns": [turn], "difference": _difference(places["plain"], places["ours"])}


def _measure(command: list[str], out: Path, threads: int) -> dict[str, float]:
    """Return the wall and processor seconds of a translation, and the seconds to its first image."""
    start = time.time()
    cost = timed(command, {"OMP_NUM_THREADS": str(threads)})
    first = min(path.stat().st_mtime for path in out.iterdir()) - start
    return {"wall": cost.wall, "cpu": cost.cpu, "first": first}


def _difference(plain: Path, ours: Path) -> tuple[float, float]:
    """Return the largest and the mean difference in 8-bit values."""
    pairs = [[np.asarray(Image.open(folder / path.name), np.float32) for folder in (plain, ours)]
             for path in plain.iterdir()]  # fmt: skip
    differences = np.abs(np.array([one - other for one, other in pairs]))
    return float(differences.max()), float(differences.mean())


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    whole, first = ([f"{median(rounds, side, what):.1f}" for side in ("plain", "ours")] for what in ("wall", "first"))
    largest, mean = (max(r["difference"][which] for r in rounds) for which in range(2))
    yield [rounds[0]["case"], *ratios(rounds, "plain", "ours"), " / ".join(whole), " / ".join(first),
           f"{largest:.0f} / {mean:.4f}"]  # fmt: skip


TRANSLATION = Benchmark(
    "translation",
    ("plain / ours (wall)", "plain / ours (CPU)", "plain / ours, s", "plain / ours, s to the first image",
     "largest / mean difference of 255"),
    _rows,
)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"size": 256, "channels": 64, "images": 48, "threads": 2, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plain", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
