"""Measure what a step of U-GAT-IT costs, against the resolution, batch, groups, samples and processes.

    python benchmarks/costs.py [--axes resolution batch ...] [--rounds 3] [--turns 3] [--threads 1] [--channels 32]

The steps of an axis are processes that take turns (`turns.py`). Few-shot steps train both sides on the samples of all
new groups together, without the base group. On the axis of processes, whole `i2i train --processes N` alternate, and
seconds are the median of their later steps, when each has chosen its threads; `--threads` does not apply.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cases import Case, build_training, peak_gib, timed
from records import Benchmark, Round, median, median_ratio
from turns import Turn, serve, take_turns
from turns import timed as timed_command

PROCESSES, COUNTS = "processes", (1, 2)
BATCH, STEPS, WARM_UP = 4, 40, 20  # of a whole training; in the warm-up it chooses its threads
SAMPLES = 16


def axes(channels: int) -> dict[str, dict[str, Case]]:
    """Return the steps to compare by axis and label; ``channels`` are those of a step over resolutions."""
    counts = (1, 2, 4, 8, 16)
    few_shot = {judge: [Case("ugatit", 64, 8, groups=n, samples=SAMPLES // n, judge=judge) for n in counts]
                for judge in ("branched", "classification")}  # fmt: skip
    alone = [Case("ugatit", 64, 8, groups=1, samples=n) for n in counts]
    return {
        "resolution": {str(c): c for c in (Case("ugatit", size, channels) for size in (64, 96, 128, 192, 256))},
        "batch": {str(c): c for c in (Case("ugatit", 64, 16, batch) for batch in (1, 2, 4, 8))},
        "groups": {f"few-shot, 16 samples, groups: {c.groups}": c for c in few_shot["branched"]},
        "groups with shared discriminators": {
            f"few-shot, 16 samples, groups: {c.groups}, shared discriminators": c for c in few_shot["classification"]
        },
        "samples": {f"few-shot, samples of one group: {c.samples}": c for c in alone},
    }


def main() -> None:
    options = _options()
    if options.step:
        serve(_step(axes(options.channels)[options.axes[0]][options.step], options.threads))
        return
    for number in range(options.rounds):
        for axis in options.axes:
            threads, work = options.threads, _take_turns
            if axis == PROCESSES:
                threads, work = 0, _train_by_processes
            COSTS.measure(axis, threads, number, lambda axis=axis, work=work: {"turns": work(axis, options)})
    COSTS.write_table()


def _take_turns(axis: str, options: argparse.Namespace) -> list[dict[str, Turn]]:
    given = ["--threads", str(options.threads), "--channels", str(options.channels)]
    commands = {label: [__file__, "--axes", axis, "--step", label, *given] for label in axes(options.channels)[axis]}
    environment = {"OMP_NUM_THREADS": str(options.threads)}
    return take_turns(commands, options.turns, dict.fromkeys(commands, environment))


def _step(case: Case, threads: int) -> Callable[[], Turn]:
    """Return a turn: one step, of the new groups alone if there are any."""
    training = build_training(case, threads)
    if case.groups:
        draw = training.transfer.draw
        training.transfer.draw = lambda batch_size, rng: draw(batch_size, rng)[1:]
    samples = case.groups * case.samples or case.batch
    return lambda: {**timed(training.step), "memory": peak_gib(), "samples": samples}


def _train_by_processes(*_: object) -> list[dict[str, Turn]]:
    os.environ.pop("OMP_NUM_THREADS", None)  # or it would be the choice
    return [{f"`i2i train --processes {count}`": _train(count) for count in COUNTS}]


def _train(processes: int) -> Turn:
    """Return the seconds of a step of a whole training."""
    with tempfile.TemporaryDirectory() as folder:
        timed_command(["-m", "i2i", "train", "--out", f"{folder}/run", "--processes", str(processes), "--batch-size",
                       str(BATCH), "--steps", str(STEPS), "--evaluate.metrics", "l1"], {})  # fmt: skip
        lines = map(json.loads, Path(folder, "run", "metrics.jsonl").read_text("utf-8").splitlines())
        seconds = [line["seconds"] for line in lines if "seconds" in line]
    return {"wall": statistics.median(seconds[WARM_UP:]), "samples": BATCH * processes}


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    steps = rounds[0]["turns"][0]
    first = next(iter(steps))
    for step in steps:
        seconds, samples = (median(rounds, step, what) for what in ("wall", "samples"))
        ratio = median_ratio(rounds, (step, "wall"), (first, "wall"))
        memory = f"{median(rounds, step, 'memory'):.2f}" if "memory" in steps[step] else ""
        yield [step, f"{seconds:.2f}", f"{ratio:.2f}", f"{samples / seconds:.1f}", memory]


AXES = (*axes(1), PROCESSES)
COSTS = Benchmark("costs", ("s per step", "times the first", "images per second", "GiB"), _rows, AXES)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=AXES)
    for name, default in {"rounds": 3, "turns": 3, "threads": 1, "channels": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
