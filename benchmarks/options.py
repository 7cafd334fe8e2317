"""Time, memory and error of the options that trade one for another.

    python benchmarks/options.py [--backbone ugatit] [--size 128] [--channels 32] [--batch 1] [--rounds 3]

Each measurement is a process of its own, the rows alternate, and medians over rounds are printed as a Markdown table.
All start from the same weights and images. Seconds are processor time per step, without the first step. Memory is the
peak of the process minus what it used before its first step. The error is the largest relative difference of a loss of
the first step from the same loss in full precision.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "`--memory low`": {"memory": "low"},
    "`--precision bf16`": {"precision": "bf16"},
    "both": {"memory": "low", "precision": "bf16"},
}
STEPS = 3
Measured = dict[str, Any]


def main() -> None:
    options = _options()
    if options.row:
        print(json.dumps(measure(options)))
        return
    print(f"{options.backbone}, {options.size} px, {options.channels} channels, batch {options.batch}, "
          f"{options.threads} threads, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    rounds = [{row: _spawn(row) for row in ROWS} for _ in range(options.rounds)]
    print("| option | s per step | memory | largest error of a loss |\n| --- | --- | --- | --- |")
    for row in ROWS:
        seconds, memory = (statistics.median(one[row][key] for one in rounds) for key in ("seconds", "memory"))
        error = _error(rounds[0][row]["losses"], rounds[0]["default"]["losses"])
        print(f"| {row} | {seconds:.2f} | {memory / 2**30:.2f} GiB | {error:.1e} |")


def measure(options: argparse.Namespace) -> Measured:
    """Return the seconds per step, the memory in bytes and the losses of the first step."""
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
    before, losses, times = peak_memory(engine.device) or 0, training.step(), []
    for _ in range(STEPS):
        start = time.process_time()
        training.step()
        times.append(time.process_time() - start)
    memory = (peak_memory(engine.device) or 0) - before
    return {"seconds": statistics.median(times), "memory": memory, "losses": losses}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    backbone = {"name": options.backbone, "channels": options.channels}
    run = {"size": options.size, "batch_size": options.batch, "threads": options.threads, "device": "cpu"}
    return {**run, "backbone": backbone, "stages": ["base"], "evaluate": {"metrics": ["l1"]}, **ROWS[options.row]}


def _error(losses: dict[str, float], exact: dict[str, float]) -> float:
    return max(abs(losses[name] - value) / abs(value) for name, value in exact.items() if value)


def _spawn(row: str) -> Measured:
    command = [sys.executable, __file__, *sys.argv[1:], "--row", row]
    result: Measured = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ugatit")
    parser.add_argument("--row", choices=list(ROWS))
    for name, value in {"size": 128, "channels": 32, "batch": 1, "threads": 1, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
