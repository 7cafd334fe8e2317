"""Time our training step against the published one, side by side.

    python benchmarks/speed.py [--cases ugatit-128 ...] [--rounds 3] [--turns 5] [--threads 1] [--device cpu] [--table]

The published side has the same networks with their layers as published (`published.py`), and the order of its step:
translations are generated anew for each update, one call for each purpose, real images and fakes are judged in
separate calls, groups come one after the other, and gradients flow wherever the published code lets them. It runs
twice: as shipped, with the C library's default allocator, and with the allocator tuned as ours is. Each side is a
process of its own, and they take turns step by step (`turns.py`). A third process measures how fast the machine
convolves: 3x3, 256 to 256 channels, 64 x 64 pixels. On a GPU, times end when its work is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from cases import CASES, Case, build_step, peak_gib, timed
from records import Benchmark, Round, median, median_ratio, ratios
from torch.utils.flop_counter import FlopCounterMode
from turns import Turn, serve, take_turns

RIVALS = ("shipped", "tuned")
RIVAL, OURS, PEAK = "rival", "ours", "peak"


def main() -> None:
    options = _options()
    if options.measure == PEAK:
        serve(_convolution(options))
    elif options.measure:
        serve(_step(CASES[options.cases[0]], options))
    else:
        _compare(options)


def _compare(options: argparse.Namespace) -> None:
    for number in range(0 if options.table else options.rounds):
        for name in options.cases:
            work = partial(_round, name, options)
            STEPS.measure(str(CASES[name]), options.threads, number, work, options.device)
    STEPS.write_table()


def _round(name: str, options: argparse.Namespace) -> dict[str, list[dict[str, Turn]]]:
    """Let each published side and ours take turns; return each turn of both, and of the convolution."""
    given = ["--cases", name, "--threads", str(options.threads), "--device", options.device]
    turns = {}
    for rival in RIVALS:
        commands = {side: [__file__, *given, "--measure", measure]
                    for side, measure in {RIVAL: rival, OURS: OURS, PEAK: PEAK}.items()}  # fmt: skip
        environments = {side: {"OMP_NUM_THREADS": str(options.threads)} for side in commands}
        if rival == "shipped":
            environments[RIVAL]["I2I_KEEP_ALLOCATOR"] = "1"
        turns[rival] = take_turns(commands, options.turns, environments)
    return turns


def _step(case: Case, options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: one step, with the most memory of its process so far in GiB."""
    step = build_step(case, options.threads, options.measure != OURS, options.device)
    turn = _with_rate(step, options.device)
    return lambda: {**turn(), "memory": peak_gib(options.device)}


def _convolution(options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: ten forward passes of the convolution that stands for the machine's speed."""
    torch.set_num_threads(options.threads)
    x, weight = (torch.randn(shape, device=options.device) for shape in ((1, 256, 64, 64), (256, 256, 3, 3)))

    def convolve() -> None:
        for _ in range(10):
            F.conv2d(x, weight, padding=1)

    return _with_rate(convolve, options.device)


def _with_rate(work: Callable[[], object], device: str) -> Callable[[], Turn]:
    """Return a turn: the work's wall and processor seconds, and billions of operations per processor or GPU second."""
    from i2i.compute.threads import kept_threads

    with kept_threads(), FlopCounterMode(display=False) as counter:
        torch.set_num_threads(1)  # the counter sees operations of its own thread alone
        work()
    work()

    def turn() -> Turn:
        seconds = timed(work, device)
        return {**seconds, "rate": counter.get_total_flops() / seconds["cpu" if device == "cpu" else "wall"] / 1e9}

    return turn


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    shipped, tuned = RIVALS
    seconds, rate = (median(rounds, OURS, what, turns=tuned) for what in ("wall", "rate"))
    share = median_ratio(rounds, (OURS, "rate"), (PEAK, "rate"), tuned)
    memory = " / ".join(f"{median(rounds, side, 'memory', turns=shipped):.2f}" for side in (RIVAL, OURS))
    yield [rounds[0]["case"], *ratios(rounds, RIVAL, OURS, shipped), *ratios(rounds, RIVAL, OURS, tuned),
           f"{seconds:.2f}", f"{rate:.0f}", f"{share:.0%}", memory]  # fmt: skip


STEPS = Benchmark(
    "steps",
    ("shipped / ours (wall)", "shipped / ours (CPU)", "tuned / ours (wall)", "tuned / ours (CPU)", "ours, s",
     "GFLOP/s of a core", "share of convolution peak", "GiB shipped / ours"),
    _rows,
    [str(case) for case in CASES.values()],
)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    for name, default in {"rounds": 3, "turns": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where to train.")
    parser.add_argument("--table", action="store_true", help="Write the table of the rounds at hand, without timing.")
    parser.add_argument("--measure", choices=(*RIVALS, OURS, PEAK), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
