"""Measure the cost of a few-shot step of `branch` with 1 to 16 groups, and draw docs/images/branches-cost.svg.

    OMP_NUM_THREADS=1 python benchmarks/branches.py [--size 64] [--channels 8] [--out docs/images/branches-cost.svg]

Two lines spread the same number of samples over more and more groups, with discriminators per group and with shared
ones; the third gives one group more and more samples. A step trains both sides on all new groups together, without the
base group's samples. Times are processor seconds, the lowest of ``--repeats``; the lines are measured in turn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from speed import Case, build_training

COUNTS = (1, 2, 4, 8, 16)
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560, 320, 60, 60, 20, 50
LINES = {  # colour, label, and the transfer's judge
    "groups": ("#0b6e99", "16 samples from 1 to 16 groups", "branched"),
    "shared": ("#2f8f4e", "16 samples from 1 to 16 groups, shared discriminators", "classification"),
    "samples": ("#c2571a", "1 to 16 samples from one group", "branched"),
}


def main() -> None:
    options = _options()
    cells = [(line, count) for line in LINES for count in COUNTS]
    trainings = {cell: build_few_shot(options, *_spread(*cell), LINES[cell[0]][2]) for cell in cells}
    times = {cell: [_seconds(training) for _ in range(2)] for cell, training in trainings.items()}
    for _ in range(options.repeats):
        for cell, training in trainings.items():
            times[cell].append(_seconds(training))
    seconds = {line: [min(times[line, count][1:]) for count in COUNTS] for line in LINES}
    for line, count in cells:
        groups, samples = _spread(line, count)
        lowest = min(times[line, count][1:])
        print(f"{LINES[line][2]:14} {groups:2} groups x {samples:2} samples: {lowest:.3f} s")
    Path(options.out).write_text(draw_chart(seconds), encoding="utf-8")


def _spread(line: str, count: int) -> tuple[int, int]:
    """Return the number of groups of a step, and the samples of each."""
    return (1, count) if line == "samples" else (count, COUNTS[-1] // count)


def _seconds(training) -> float:
    start = time.process_time()
    training.step()
    return time.process_time() - start


def build_few_shot(options: argparse.Namespace, groups: int, samples: int, judge: str):
    """Return the training of a small adapted model, whose steps draw only the new groups."""
    case = Case("ugatit", options.size, options.channels, groups=groups, samples=samples, judge=judge)
    training = build_training(case, threads=1)
    draw = training.transfer.draw
    training.transfer.draw = lambda batch_size, rng: draw(batch_size, rng)[1:]
    return training


def draw_chart(seconds: dict[str, list[float]]) -> str:
    """Return the lines as an SVG image."""
    top = max(value for values in seconds.values() for value in values) * 1.1
    shapes = [_axes(top)]
    for row, (line, values) in enumerate(seconds.items()):
        colour, label, _ = LINES[line]
        points = [(_x(index), _y(value, top)) for index, value in enumerate(values)]
        shapes.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{_joined(points)}"/>')
        shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        shapes.append(f'<text x="{LEFT + 10}" y="{TOP - 24 + 16 * row}" fill="{colour}">{label}</text>')
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">\n<title>Cost of a few-shot step</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _axes(top: float) -> str:
    ticks = [top * part / 4 for part in range(5)]
    rules = [
        f'<path d="M{LEFT} {_y(tick, top):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{_y(tick, top) + 4:.1f}" text-anchor="end" fill="#444">{tick:.2f}</text>'
        for tick in ticks
    ]
    marks = [
        f'<text x="{_x(index):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444">{count}</text>'
        for index, count in enumerate(COUNTS)
    ]
    foot = f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#444">groups or samples</text>'
    side = (
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#444">s per step</text>'
    )
    return "\n".join([*rules, *marks, foot, side])


def _x(index: int) -> float:
    return LEFT + 20 + index * (WIDTH - LEFT - RIGHT - 40) / (len(COUNTS) - 1)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _joined(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default="docs/images/branches-cost.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
