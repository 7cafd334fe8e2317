"""Time, memory and error of the options that trade one for another.

    python benchmarks/options.py [--backbone ugatit] [--size 128] [--channels 32] [--batch 1] [--steps 5]

Each row is a process of its own, and they take turns step by step (`turns.py`). All start from the same weights and
images. Seconds are the median of processor time per step. Memory is the peak of the process minus what it used before
its first step. The error is the largest relative difference of a loss of the first step from the same loss in full
precision.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from turns import Turn, serve, take_turns

ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "`--memory low`": {"memory": "low"},
    "`--precision bf16`": {"precision": "bf16"},
    "both": {"memory": "low", "precision": "bf16"},
}


def main() -> None:
    options = _options()
    if options.row:
        serve(measure(options))
        return
    print(f"{options.backbone}, {options.size} px, {options.channels} channels, batch {options.batch}, "
          f"{options.threads} threads, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    turns = take_turns({row: [__file__, *sys.argv[1:], "--row", row] for row in ROWS}, options.steps, {})
    print("| option | s per step | memory | largest error of a loss |\n| --- | --- | --- | --- |")
    for row in ROWS:
        seconds = statistics.median(turn[row]["seconds"] for turn in turns)
        error = _error(turns[0][row]["losses"], turns[0]["default"]["losses"])
        print(f"| {row} | {seconds:.2f} | {turns[-1][row]['memory'] / 2**30:.2f} GiB | {error:.1e} |")


def measure(options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: a step, with its seconds, the peak memory in bytes so far, and the losses of the first step."""
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
    before, losses = peak_memory(engine.device) or 0, training.step()

    def step() -> Turn:
        start = time.process_time()
        training.step()
        seconds = time.process_time() - start
        return {"seconds": seconds, "memory": (peak_memory(engine.device) or 0) - before, "losses": losses}

    return step


def _given(options: argparse.Namespace) -> dict[str, Any]:
    backbone = {"name": options.backbone, "channels": options.channels}
    run = {"size": options.size, "batch_size": options.batch, "threads": options.threads, "device": "cpu"}
    return {**run, "backbone": backbone, "stages": ["base"], "evaluate": {"metrics": ["l1"]}, **ROWS[options.row]}


def _error(losses: dict[str, float], exact: dict[str, float]) -> float:
    return max(abs(losses[name] - value) / abs(value) for name, value in exact.items() if value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ugatit")
    parser.add_argument("--row", choices=list(ROWS))
    for name, value in {"size": 128, "channels": 32, "batch": 1, "threads": 1, "steps": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
