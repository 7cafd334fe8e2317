"""Time FID against pytorch-fid, end to end and side by side, with the reference's features cached on both sides.

    python benchmarks/fid.py [--images 500] [--size 64] [--threads 2] [--rounds 3]

Both read the same files through the same randomly initialised Inception. Each measurement is a process of its own,
timed from its start to its end, imports included; the two alternate. The distances are compared.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from records import Benchmark, Round, median, ratios
from torch import Tensor
from turns import timed

REAL, FAKE, WEIGHTS, CACHED = "real", "fake", "inception.pth", "real.npz"
SIDES = ("plain", "ours")


def main() -> None:
    options = _options()
    if options.side:
        print(distance(options.side, Path(options.folder), options.threads))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options)


def distance(side: str, folder: Path, threads: int) -> float:
    """Return the distance of the fakes from the real images, whose features are cached."""
    torch.set_num_threads(threads)
    return _ours(folder) if side == "ours" else _plain(folder, threads)


def _ours(folder: Path) -> float:
    from i2i import PretrainedNetworks, Registry, extract_features
    from i2i.evaluation.heldout import files
    from i2i_metrics.distances import frechet_distance

    network = PretrainedNetworks(Registry()).features("inception", str(folder / WEIGHTS), torch.device("cpu"))
    real, fake = (sorted((folder / name).iterdir()) for name in (REAL, FAKE))
    with Image.open(real[0]) as image:
        sets = [files(real, image.width), replace(files(fake, image.width), key="")]  # the fakes are not cached
    return float(frechet_distance(*(extract_features(network, images) for images in sets)))


def _plain(folder: Path, threads: int) -> float:
    from pytorch_fid import fid_score, inception

    state = torch.load(folder / WEIGHTS, weights_only=True)
    inception.load_state_dict_from_url = lambda *_, **__: state
    paths = [str(folder / CACHED), str(folder / FAKE)]
    if not (folder / CACHED).exists():
        fid_score.save_fid_stats([str(folder / REAL), paths[0]], 50, "cpu", 2048, threads)
    return float(fid_score.calculate_fid_given_paths(paths, 50, "cpu", 2048, threads))


def _compare(folder: Path, options: argparse.Namespace) -> None:
    _prepare(folder, options)
    case = f"{options.images} images of {options.size} px"
    for number in range(options.rounds):
        FID.measure(case, options.threads, number, lambda: _round(folder, options))
    FID.write_table()


def _round(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    if not (folder / CACHED).exists():
        _turn(folder, options)  # caches the reference on both sides
    return {"turns": [_turn(folder, options)]}


def _turn(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": str(options.threads)}
    given = ["--folder", str(folder), "--threads", str(options.threads)]
    costs = {side: timed([__file__, "--side", side, *given], environment) for side in SIDES}
    return {side: {"wall": c.wall, "cpu": c.cpu, "distance": float(c.output.split()[-1])} for side, c in costs.items()}


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    seconds = " / ".join(f"{median(rounds, side, 'wall'):.1f}" for side in SIDES)
    distances = " / ".join(f"{median(rounds, side, 'distance'):.4f}" for side in SIDES)
    yield [rounds[0]["case"], *ratios(rounds, *SIDES), seconds, distances]


FID = Benchmark(
    "fid", ("plain / ours (wall)", "plain / ours (CPU)", "plain / ours, s", "distance by plain / by ours"), _rows
)


def _prepare(folder: Path, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    torch.save({key: _random(key, tensor.shape) for key, tensor in network.state_dict().items()}, folder / WEIGHTS)
    generator = np.random.default_rng(0)
    for name, brightness in ((REAL, 60), (FAKE, 110)):
        (folder / name).mkdir()
        for number in range(options.images):
            colours = Image.fromarray(generator.integers(brightness, brightness + 140, (4, 4, 3), np.uint8))
            colours.resize((options.size,) * 2, Image.Resampling.BICUBIC).save(folder / name / f"{number:04}.png")


def _random(key: str, shape: torch.Size) -> Tensor:
    """Return weights that keep signals from vanishing or exploding."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("conv.weight"):
        return torch.randn(shape) * (2 / shape[1:].numel()) ** 0.5
    return torch.rand(shape) + 0.5 if key.endswith(("running_var", "bn.weight")) else torch.randn(shape) * 0.1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"images": 500, "size": 64, "threads": 2, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
