"""Time ``i2i translate`` against one image at a time through the layers as published, side by side.

    python benchmarks/translation.py [--size 256] [--channels 64] [--images 48] [--cores 2] [--rounds 3] [-- OPTIONS]

``OPTIONS`` go to ``i2i translate``. The plain side has an untrained U-GAT-IT of the same weights with its layers as
published: up-sampling before the convolution, normalisation from plain statistics, the attention's maps concatenated.
It reads, translates and writes one image after the other, with gradients and the default allocator, as the published
code does; only one of the three generator calls of the published test is counted. Each measurement is a process of
its own, timed from its start to its end, imports and loading included; the two alternate. Images are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from published import publish
from turns import Cost, print_ratios, timed

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
    print(f"U-GAT-IT {options.size} px, {options.channels} channels, {options.images} images, {options.cores} cores, "
          f"load {os.getloadavg()[0]:.1f}, {' '.join(options.rest) or 'default options'}")  # fmt: skip
    sides = {
        "plain": [__file__, "--plain", "{model}", "{images}", "{out}"],
        "ours": ["-m", "i2i", "translate", "{model}", "{images}", "--out", "{out}", *options.rest],
    }
    rounds = [{name: _measure(side, folder, name, number, options.cores) for name, side in sides.items()}
              for number in range(options.rounds)]  # fmt: skip
    for name in sides:
        wall, cpu = (statistics.median(getattr(r[name], what) for r in rounds) for what in ("wall", "cpu"))
        first = statistics.median(float(r[name].output) for r in rounds)
        print(f"{name:6} {wall:6.1f} s, first image after {first:.1f} s, {cpu:6.1f} s of processor time")
    print_ratios(rounds)
    print("difference in 8-bit values: largest {:.0f}, mean {:.4f}".format(*_difference(folder)))


def _prepare(folder: Path, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    given = {"size": options.size, "backbone": {"name": "ugatit", "channels": options.channels}}
    save(Model(resolve(given, installed()), "a"), folder / "model.safetensors")
    (folder / "images").mkdir()
    for number in range(options.images):
        noise = Image.effect_noise((options.size // 8,) * 2, 100).convert("RGB")
        noise.resize((options.size,) * 2, Image.Resampling.BICUBIC).save(folder / "images" / f"{number:04}.png")


def _measure(command: list[str], folder: Path, name: str, number: int, cores: int) -> Cost:
    """Return the cost of a translation; its output is the seconds to its first image."""
    out = folder / f"{name}-{number}"
    places = {"model": folder / "model.safetensors", "images": folder / "images", "out": out}
    start = time.time()
    cost = timed([part.format(**places) for part in command], {"OMP_NUM_THREADS": str(cores)})
    return cost._replace(output=str(min(path.stat().st_mtime for path in out.iterdir()) - start))


def _difference(folder: Path) -> tuple[float, float]:
    pairs = [
        [np.asarray(Image.open(folder / f"{name}-0" / path.name), np.float32) for name in ("plain", "ours")]
        for path in (folder / "images").iterdir()
    ]
    differences = np.abs(np.array([plain - ours for plain, ours in pairs]))
    return float(differences.max()), float(differences.mean())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"size": 256, "channels": 64, "images": 48, "cores": 2, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plain", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
