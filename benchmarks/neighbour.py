"""Measure what one busy neighbour costs a training step, with the number of threads that `i2i run` chooses, and fixed.

    python benchmarks/neighbour.py [--rounds 3] [--turns 1] [--steps 10]

The rows are processes that take turns (`turns.py`). In a turn each chooses its threads as `i2i run` does, trains at
64 px with 16 channels and batches of 4, then starts a neighbour, a process that only counts, and trains on. It has
enough steps to notice that it is slower and to choose again; then ``--steps`` are timed. The warm-up turn is not kept.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from cases import Case, build_training
from records import Benchmark, Round, median, median_ratio
from turns import Turn, serve, take_turns

CASE = Case("ugatit", 64, 16, batch=4)
ROWS = {"default": 0, "`--threads 1`": 1, "`--threads 2`": 2}
ADJUSTING = 15  # steps: five to notice a slower machine, then up to three for each number of threads


def main() -> None:
    options = _options()
    if options.row:
        serve(_training(ROWS[options.row], options.steps))
        return
    os.environ.pop("OMP_NUM_THREADS", None)  # or it would be the default
    commands = {row: [__file__, "--row", row, "--steps", str(options.steps)] for row in ROWS}
    for number in range(options.rounds):
        NEIGHBOUR.measure(str(CASE), 0, number, lambda: {"turns": take_turns(commands, options.turns, {})})
    NEIGHBOUR.write_table()


def _training(threads: int, steps: int) -> Callable[[], Turn]:
    """Return a turn: images per second and the threads in use, on the machine as it is and beside a neighbour."""
    from i2i.compute.threads import ThreadChoice

    training = build_training(CASE, threads)

    def turn() -> Turn:
        counts = training.engine.thread_counts
        choice, numbers = ThreadChoice(counts), count()

        def train(amount: int) -> float:
            start = time.perf_counter()
            for _ in range(amount):
                choice.run(next(numbers), training.step)
            return time.perf_counter() - start

        def rate() -> dict[str, float]:
            train(ADJUSTING)
            while len(counts) > 1 and not choice.settled:
                train(1)
            used = choice.settled or counts[0]
            return {"rate": steps * CASE.batch / train(steps), "threads": used}

        quiet = rate()
        with neighbour():
            return {"quiet": quiet, "busy": rate()}

    return turn


@contextmanager
def neighbour() -> Iterator[None]:
    """Keep one core busy in the block."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    for row in rounds[0]["turns"][0]:
        rates = [f"{median(rounds, row, when, 'rate'):.1f} on {median(rounds, row, when, 'threads'):.0f}"
                 for when in ("quiet", "busy")]  # fmt: skip
        yield [row, *rates, f"{median_ratio(rounds, (row, 'busy', 'rate'), (row, 'quiet', 'rate')):.2f}"]


NEIGHBOUR = Benchmark(
    "neighbour",
    ("images per second, on threads: quiet", "images per second, on threads: busy", "busy / quiet"),
    _rows,
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"rounds": 3, "turns": 1, "steps": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
