"""Time our training step against the published one, side by side: ``make bench-speed``.

    python benchmarks/speed.py [--cases ugatit-128 ...] [--rounds 3] [--turns 5] [--threads 1] [--table]

The published side has the same networks with their layers as published (`published.py`), and the order of its step:
translations are generated anew for each update, one call for each purpose, real images and fakes are judged in
separate calls, groups come one after the other, and gradients flow wherever the published code lets them. It runs
twice: as shipped, with the C library's default allocator, and with the allocator tuned as ours is. Each side is a
process of its own, and they take turns step by step (`turns.py`). A third process measures how fast the machine
convolves: 3x3, 256 to 256 channels, 64 x 64 pixels. Rounds are kept in benchmarks/results/speed/rounds.jsonl, so a
stopped comparison continues, and ``--table`` writes their medians into docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from turns import Turn, serve, take_turns

ROOT = Path(__file__).parents[1]
ROUNDS = ROOT / "benchmarks" / "results" / "speed" / "rounds.jsonl"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- speed table -->", "<!-- end of speed table -->"
RIVALS = ("shipped", "tuned")
RIVAL, OURS, PEAK = "rival", "ours", "peak"
HEADINGS = (
    "step", "threads, rounds", "shipped / ours (wall)", "tuned / ours (wall)", "shipped / ours (CPU)",
    "tuned / ours (CPU)", "ours, s", "share of convolution peak", "GiB shipped / ours",
)  # fmt: skip


class Case(NamedTuple):
    """What is timed: a backbone at a size and width, on a batch or on sub-batches of new groups."""

    backbone: str
    size: int
    channels: int
    batch: int = 1
    groups: int = 0
    samples: int = 1
    judge: str = "branched"

    @property
    def name(self) -> str:
        """A name for the command line."""
        return f"{self.backbone}-{self.size}" + (f"-{self.groups}-groups" if self.groups else "")

    def __str__(self) -> str:
        groups = f", stage 2, {self.groups} groups" if self.groups else ""
        return f"{self.backbone} {self.size} px, {self.channels} channels, batch {self.batch}{groups}"


CASES = {
    case.name: case
    for case in (
        Case("ugatit", 64, 16, batch=4),
        Case("ugatit", 128, 32),
        Case("ugatit", 256, 64),
        Case("photo2cartoon", 64, 16, batch=4),
        Case("photo2cartoon", 128, 32),
        Case("cyclegan", 64, 16, batch=4),
        Case("cyclegan", 128, 64),
        Case("cyclegan", 256, 64),
        Case("unit", 64, 16, batch=4),
        Case("unit", 128, 64),
        Case("unit", 256, 64),
        Case("ugatit", 64, 16, groups=4),
        Case("ugatit", 128, 16, groups=4),
        Case("photo2cartoon", 128, 16, groups=4),
    )
}


def main() -> None:
    options = _options()
    if options.measure == PEAK:
        serve(_peak(options.threads))
    elif options.measure:
        serve(_step(CASES[options.cases[0]], options))
    else:
        _compare(options)


def _compare(options: argparse.Namespace) -> None:
    if not options.table:
        for number in range(options.rounds):
            for name in options.cases:
                _add_round(name, number, options)
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), rounds_kept()), encoding="utf-8")


def _step(case: Case, options: argparse.Namespace) -> Callable[[], Turn]:
    """Return a turn: one step, with its wall and processor seconds and the peak of the process so far in GiB."""
    step = build_training(case, options.threads).step
    if options.measure != OURS:
        from published_step import PublishedStep

        step = PublishedStep(step.__self__).step
    with FlopCounterMode(display=False) as counter:
        step()
    return lambda: {**_timed(step), "operations": counter.get_total_flops(), "peak": _used()}


def _peak(threads: int) -> Callable[[], Turn]:
    """Return a turn: ten forward passes of the convolution that stands for the machine's speed."""
    torch.set_num_threads(threads)
    x, weight = torch.randn(1, 256, 64, 64), torch.randn(256, 256, 3, 3)

    def convolve() -> None:
        for _ in range(10):
            F.conv2d(x, weight, padding=1)

    with FlopCounterMode(display=False) as counter:
        convolve()
    return lambda: {**_timed(convolve), "operations": counter.get_total_flops()}


def _timed(work: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _used() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def build_training(case: Case, threads: int, precision: str = "32") -> Any:
    """Return a training whose model is untrained and whose images are noise."""
    from i2i import Backbone
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
    groups = tuple(f"group{number}" for number in range(case.groups))
    published = {"discriminator": installed().get(Backbone, case.backbone).Config.model_fields["discriminator"].default}
    given = {"size": case.size, "backbone": {"name": case.backbone, "channels": case.channels, **published}}
    transfer = {"transfer": {"name": "branch", "samples": case.samples, "judge": case.judge}} if groups else {}
    chosen = resolve({**given, **transfer}, installed())
    data = Noise(Path(tempfile.mkdtemp()), ("base", *groups), case.size + 8)
    model = Model(chosen, data.base, groups)
    transfer = model.transfer or NoTransfer(NoTransfer.Config(), data.base, ())
    return Training(
        model.backbone, transfer, chosen.build_losses(transfer.config.provides), Loader(data, case.size, 0),
        Engine("cpu", precision, threads=threads), steps=100, batch_size=case.batch, seed=0,
        pretrained=PretrainedNetworks(chosen.registry),
    )  # fmt: skip


def with_table(page: str, rounds: list[dict[str, Any]]) -> str:
    """Return the page with the table of these rounds between its marks."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{table(rounds)}\n{END}{rest.partition(END)[2]}"


def table(rounds: list[dict[str, Any]]) -> str:
    """Return the medians as a Markdown table."""
    if not rounds:
        return "Nothing is measured yet: run `make bench-speed`."
    lines = [_row(HEADINGS), "|" + "---|" * len(HEADINGS)]
    for name, case in CASES.items():
        for threads in sorted({r["threads"] for r in rounds if r["case"] == name}):
            lines.append(_line(case, threads, [r for r in rounds if (r["case"], r["threads"]) == (name, threads)]))
    machines, loads = "; ".join(sorted({r["machine"] for r in rounds})), [r["load"] for r in rounds]
    note = f"Machine: {machines}. Load at the start of a round: {min(loads):.1f} to {max(loads):.1f}."
    return "\n".join([*lines, "", note])


def _line(case: Case, threads: int, rounds: list[dict[str, Any]]) -> str:
    ratios = [_median(rounds, rival, lambda turn, what=what: turn[RIVAL][what] / turn[OURS][what])
              for what in ("wall", "cpu") for rival in RIVALS]  # fmt: skip
    seconds = _median(rounds, RIVALS[1], lambda turn: turn[OURS]["wall"])
    share = _median(rounds, RIVALS[1], lambda turn: _rate(turn[OURS]) / _rate(turn[PEAK]))
    peaks = [_median(rounds, RIVALS[0], lambda turn, side=side: turn[side]["peak"]) for side in (RIVAL, OURS)]
    cells = [str(case), f"{threads}, {len(rounds)}", *(f"{ratio:.2f}" for ratio in ratios), f"{seconds:.2f}",
             f"{share:.0%}", f"{peaks[0]:.2f} / {peaks[1]:.2f}"]  # fmt: skip
    return _row(cells)


def _median(rounds: list[dict[str, Any]], rival: str, value: Callable[[dict[str, Turn]], float]) -> float:
    """Return the median over the rounds of the median over the turns."""
    return statistics.median(statistics.median(map(value, r[rival])) for r in rounds)


def _rate(turn: Turn) -> float:
    """Return operations per second of processor time."""
    return float(turn["operations"] / turn["cpu"])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _add_round(name: str, number: int, options: argparse.Namespace) -> None:
    done = [r for r in rounds_kept() if (r["case"], r["threads"]) == (name, options.threads)]
    if len(done) > number:
        return
    record = {"case": name, "threads": options.threads, "load": os.getloadavg()[0], "machine": _machine()}
    record |= {rival: _pair(name, rival, options) for rival in RIVALS}
    ROUNDS.parent.mkdir(parents=True, exist_ok=True)
    with ROUNDS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(_line(CASES[name], options.threads, [record]), flush=True)


def _pair(name: str, rival: str, options: argparse.Namespace) -> list[dict[str, Turn]]:
    """Let one published side and ours take turns; return each turn of both, and of the convolution."""
    given = ["--cases", name, "--threads", str(options.threads)]
    commands = {side: [__file__, *given, "--measure", measure]
                for side, measure in {RIVAL: rival, OURS: OURS, PEAK: PEAK}.items()}  # fmt: skip
    environments = {side: {"OMP_NUM_THREADS": str(options.threads)} for side in commands}
    if rival == "shipped":
        environments[RIVAL]["I2I_KEEP_ALLOCATOR"] = "1"
    return take_turns(commands, options.turns, environments)


def rounds_kept() -> list[dict[str, Any]]:
    """Return the rounds measured so far."""
    return [json.loads(line) for line in ROUNDS.read_text(encoding="utf-8").splitlines()] if ROUNDS.exists() else []


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").exists() else []  # fmt: skip
    return f"{os.cpu_count()} cores, {names[0] if names else platform.processor()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    for name, default in {"rounds": 3, "turns": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true", help="Write the table of the rounds at hand, without timing.")
    parser.add_argument("--measure", choices=(*RIVALS, OURS, PEAK), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
