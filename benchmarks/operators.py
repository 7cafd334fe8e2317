"""Measure where the milliseconds of a training step go, ours and the published one.

    python benchmarks/operators.py [--case ugatit-256] [--rounds 3] [--turns 3] [--threads 1]

Torch's profiler supplies the time that each operator spends itself, without those it calls. Both sides are processes
that take turns (`turns.py`). The published layers normalise by sums, products and roots, which count as arithmetic
here, except where torch has one operator for it.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from cases import CASES, Case, build_step
from records import Benchmark, Round, median, median_ratio
from torch.profiler import ProfilerActivity, profile
from turns import Turn, serve, take_turns

SIDES = ("published", "ours")
ALL = "all"
KINDS = {  # the first whose pattern is in the operator's name
    "optimizer": r"Optimizer|_adam_",
    "padding": r"[Rr]eflect",
    "normalisation": r"Instance|Scale[sd]|Moments|batch_norm|BatchNorm|::var",
    "convolution, backward": r"conv\w*_backward|ConvolutionBackward",
    "convolution, forward": r"conv",
    "matrix products": r"::(add|b|ba)?(mm|mv|dot)\b|linear|matmul",
    "other arithmetic": r"aten::_?(mul|add|addc\w+|sub|rsub|div|sum|mean|neg|sqrt|rsqrt|pow|lerp)_?\b",
    "copies and memory": r"copy_|empty|fill_|zero_|clone|contiguous|cat|stack|resize_",
    "the rest": "",
}


def main() -> None:
    options = _options()
    if options.side:
        serve(_step(CASES[options.case], options))
        return
    given = ["--case", options.case, "--threads", str(options.threads)]
    commands = {side: [__file__, *given, "--side", side] for side in SIDES}
    environments = {side: {"OMP_NUM_THREADS": str(options.threads)} for side in SIDES}
    for number in range(options.rounds):
        OPERATORS.measure(str(CASES[options.case]), options.threads, number,
                          lambda: {"turns": take_turns(commands, options.turns, environments)})  # fmt: skip
    OPERATORS.write_table()


def _step(case: Case, options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: the seconds of a step by kind of operator."""
    step = build_step(case, options.threads, published=options.side == "published")

    def turn() -> Turn:
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            step()
        seconds: defaultdict[str, float] = defaultdict(float)
        for event in profiler.key_averages():
            seconds[kind_of(event.key)] += event.self_cpu_time_total / 1e6
        return {kind: seconds[kind] for kind in KINDS} | {ALL: sum(seconds.values())}

    return turn


def kind_of(operator: str) -> str:
    """Return the kind of an operator, by its name in the profile."""
    return next(kind for kind, pattern in KINDS.items() if re.search(pattern, operator))


def _rows(rounds: list[Round]) -> Iterator[list[str]]:
    for kind in (ALL, *KINDS):
        cells = [f"{1000 * median(rounds, side, kind):.0f} ({median_ratio(rounds, (side, kind), (side, ALL)):.0%})"
                 for side in SIDES]  # fmt: skip
        yield [f"{rounds[0]['case']}: {kind}", *cells]


OPERATORS = Benchmark("operators", ("published, ms (share)", "ours, ms (share)"), _rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, default="ugatit-256")
    for name, default in {"rounds": 3, "turns": 3, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
