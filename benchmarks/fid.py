"""Time FID against pytorch-fid, end to end and side by side, with the reference's features cached on both sides.

    python benchmarks/fid.py [--images 500] [--size 64] [--threads 2] [--rounds 3]

Both read the same files through the same randomly initialised Inception. Each measurement is a process of its own,
timed from its start to its end, imports included; the two alternate. The distances are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from turns import print_ratios, timed

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
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": str(options.threads)}
    rounds = [{side: timed(_command(side, folder, options), environment) for side in SIDES}
              for _ in range(options.rounds + 1)][1:]  # fmt: skip  # the first caches the reference
    print(f"{options.images} images of {options.size} px, {options.threads} threads, load {os.getloadavg()[0]:.1f}")
    for side in SIDES:
        wall, cpu = (statistics.median(getattr(r[side], what) for r in rounds) for what in ("wall", "cpu"))
        print(f"{side:6} {wall:6.1f} s, {cpu:6.1f} s of processor time, distance {rounds[0][side].output.strip()}")
    print_ratios(rounds)


def _command(side: str, folder: Path, options: argparse.Namespace) -> list[str]:
    return [__file__, "--side", side, "--folder", str(folder), "--threads", str(options.threads)]


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
