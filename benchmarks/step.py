"""Time our training step against a plain one in the published order, side by side.

    python benchmarks/step.py [--size 64] [--channels 16] [--batch 4] [--threads 1] [--rounds 5]

The plain step generates fakes for the discriminators with a graph, regenerates them for the generators, calls a
generator once for each purpose, and lets gradients flow everywhere. Both use the same modules and the same
allocator. Each measurement runs in a separate process and the two alternate; the result is the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KINDS = ("plain", "ours")


def main() -> None:
    options = _options()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    print(f"{options.backbone} {options.size} px, {options.channels} channels, batch {options.batch}, "
          f"{options.threads} threads, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    rounds = [{kind: _spawn(kind) for kind in KINDS} for _ in range(options.rounds)]
    for kind in KINDS:
        wall, cpu, memory = (statistics.median(r[kind][i] for r in rounds) for i in range(3))
        print(f"{kind:6} {wall:.3f} s per step, {cpu:.3f} s of processor time, peak {memory:.2f} GiB")
    ratios = sorted(r["plain"][0] / r["ours"][0] for r in rounds)
    print(f"ratio  {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def measure(options: argparse.Namespace) -> tuple[float, float, float]:
    """Return median seconds and processor seconds per step, and peak GiB of the process."""
    step = _steps(options)[options.measure]
    step()
    times = []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times), peak


def _steps(options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    from i2i.compute.engine import Engine
    from i2i.compute.randomness import seed_everything
    from i2i.contracts.transfer import NoTransfer
    from i2i.models.assembly import resolve
    from i2i.models.model import Model
    from i2i.pretrained.networks import PretrainedNetworks
    from i2i.registry.registry import installed
    from i2i.testing import Noise
    from i2i.training.loader import Loader
    from i2i.training.step import Training

    seed_everything(0)
    given = {"size": options.size, "backbone": {"name": options.backbone, "channels": options.channels}}
    chosen = resolve(given, installed())
    data = Noise(Path(tempfile.mkdtemp()), side=options.size + 8)
    training = Training(
        Model(chosen, data.base).backbone, NoTransfer(NoTransfer.Config(), data.base, ()),
        chosen.build_losses(frozenset()), Loader(data, options.size, 0), Engine("cpu", threads=options.threads),
        steps=100, batch_size=options.batch, seed=0, pretrained=PretrainedNetworks(chosen.registry),
    )  # fmt: skip
    return {"ours": training.step, "plain": lambda: plain_step(training)}


def plain_step(training) -> None:
    """Take one step of a discriminator-first backbone as the published code does."""
    from i2i.contracts.domains import DIRECTION_INTO, DOMAINS, OTHER_DOMAIN
    from i2i.contracts.loss import Passes

    model, groups = training.backbone, (training.transfer.base,) * training.batch_size
    passes = Passes(training.loader.batch(groups), (training.transfer.base,))
    real = passes.batch.real
    for side in ("discriminator", "generator"):
        passes.fake = {d: model.generators[DIRECTION_INTO[d]](real[OTHER_DOMAIN[d]]) for d in DOMAINS}
        if side == "discriminator":
            passes.real_verdict = {d: model.discriminators[d](real[d]) for d in DOMAINS}
        else:
            passes.cycled = {
                d: model.generators[DIRECTION_INTO[d]](passes.fake[OTHER_DOMAIN[d]].image) for d in DOMAINS
            }
            passes.identity = {d: model.generators[DIRECTION_INTO[d]](real[d]) for d in DOMAINS}
        passes.fake_verdict = {d: model.discriminators[d](passes.fake[d].image) for d in DOMAINS}
        terms = {name: getattr(loss, side)(passes) for name, loss in training.losses.items()}
        total = sum(training.losses[n].config.weight * t.mean() for n, t in terms.items() if t is not None)
        training.optimizers[side].zero_grad()
        total.backward()
        training.optimizers[side].step()
        for optimizer in training.optimizers.values():
            optimizer.zero_grad()
    model.after_step()


def _spawn(kind: str) -> tuple[float, float, float]:
    output = subprocess.run([sys.executable, *sys.argv, "--measure", kind], check=True, capture_output=True, text=True)
    return tuple(json.loads(output.stdout.splitlines()[-1]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="ugatit")
    for name, default in {"size": 64, "channels": 16, "batch": 4, "threads": 1, "rounds": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
