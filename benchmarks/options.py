"""Time, memory and error of the options that trade one for another.

    python benchmarks/options.py [--backbone ugatit] [--size 128] [--channels 32] [--batch 1] [--steps 5]
                                 [--rows default compile]

Each row is a process of its own, and they take turns step by step (`turns.py`). All start from the same weights and
images. Seconds are the median of processor time per step. *First* is the processor time of the first step, compilers
included, whose cache is empty at the start. Memory is the peak of the process minus what it used before its first step.
The error is the largest relative difference of a loss of the first step from the same loss in full precision.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from turns import Turn, serve, take_turns

ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "memory low": {"memory": "low"},
    "precision bf16": {"precision": "bf16"},
    "both": {"memory": "low", "precision": "bf16"},
    "compile": {"compile": True},
    "backbone.optimizer muon": {"backbone": {"optimizer": "muon"}},
}


def main() -> None:
    options = _options()
    if options.row:
        serve(measure(options))
        return
    print(f"{options.backbone}, {options.size} px, {options.channels} channels, batch {options.batch}, "
          f"{options.threads} threads, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    with TemporaryDirectory() as cache:
        commands = {row: [__file__, *sys.argv[1:], "--row", row] for row in options.rows}
        turns = take_turns(commands, options.steps, {row: {"TORCHINDUCTOR_CACHE_DIR": cache} for row in options.rows})
    print("| option | s per step | first, s | memory | largest error of a loss |\n| --- | --- | --- | --- | --- |")
    for row in options.rows:
        seconds, first, memory = _seconds(turns, row), turns[0][row]["first"], turns[-1][row]["memory"] / 2**30
        error = _error(turns[0][row]["losses"], turns[0][options.rows[0]]["losses"])
        label = row if row in ("default", "both") else f"`--{row}`"
        print(f"| {label} | {seconds:.3f} | {first:.0f} | {memory:.2f} GiB | {error:.1e} |")


def _seconds(turns: Sequence[dict[str, Turn]], row: str) -> float:
    return statistics.median(turn[row]["seconds"] for turn in turns)


def measure(options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: a step, with its seconds, those of the first step and its losses, and the peak memory in bytes."""
    from i2i import Registry
    from i2i.compute.memory import peak_memory
    from i2i.compute.randomness import seed_everything
    from i2i.pretrained.networks import PretrainedNetworks
    from i2i.runs.setup import check_setup
    from i2i.runs.stages import start_stage, training_of

    registry = Registry()
    setup, engine = check_setup(_given(options), registry)
    seed_everything(0)
    pretrained = PretrainedNetworks(registry)
    stage = start_stage("base", setup.components, setup.dataset, pretrained)
    training = training_of(stage, setup.components, setup.dataset, engine, pretrained)
    before, spent = peak_memory(engine.device) or 0, sum(os.times()[:4])
    losses = training.step()
    first = sum(os.times()[:4]) - spent

    def step() -> Turn:
        start = time.process_time()
        training.step()
        seconds = time.process_time() - start
        memory = (peak_memory(engine.device) or 0) - before
        return {"seconds": seconds, "first": first, "memory": memory, "losses": losses}

    return step


def _given(options: argparse.Namespace) -> dict[str, Any]:
    from i2i.config.options import merge

    backbone = {"name": options.backbone, "channels": options.channels}
    run = {"size": options.size, "batch_size": options.batch, "threads": options.threads, "device": "cpu"}
    given = {**run, "backbone": backbone, "stages": ["base"], "evaluate": {"metrics": ["l1"]}}
    return merge(given, ROWS[options.row])


def _error(losses: dict[str, float], exact: dict[str, float]) -> float:
    return max(abs(losses[name] - value) / abs(value) for name, value in exact.items() if value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ugatit")
    parser.add_argument("--rows", choices=list(ROWS), nargs="+", default=list(ROWS), help="all by default")
    parser.add_argument("--row", choices=list(ROWS), help="used by the processes of the rows")
    for name, value in {"size": 128, "channels": 32, "batch": 1, "threads": 1, "steps": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
