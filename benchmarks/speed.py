"""Time our training step against the published one, side by side: ``make bench-speed``.

    python benchmarks/speed.py [--cases ugatit-128 ...] [--rounds 3] [--steps 3] [--threads 2] [--table]

The published side has the same networks with their layers as published (`published.py`), and the order of its step:
translations are generated anew for each update, one call for each purpose, real images and fakes are judged in
separate calls, groups come one after the other, and gradients flow wherever the published code lets them. It runs
twice: as shipped, with the C library's default allocator, and with the allocator tuned as ours is. Each measurement is
a process of its own; the three alternate. Rounds are kept in benchmarks/results/speed/rounds.jsonl, so a stopped
comparison continues, and ``--table`` writes their medians into docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
ROUNDS = ROOT / "benchmarks" / "results" / "speed" / "rounds.jsonl"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- speed table -->", "<!-- end of speed table -->"
SIDES = ("shipped", "tuned", "ours")


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
    if options.measure:
        print(json.dumps(measure(CASES[options.cases[0]], options)))
        return
    if not options.table:
        for number in range(options.rounds):
            for name in options.cases:
                _add_round(name, number, options)
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), _rounds()), encoding="utf-8")


def measure(case: Case, options: argparse.Namespace) -> dict[str, float]:
    """Return the median wall and processor seconds per step, and the peak of the process in GiB."""
    training = build_training(case, options.threads)
    step = training.step
    if options.measure != "ours":
        from published_step import PublishedStep

        step = PublishedStep(training).step
    step()
    times = []
    for _ in range(options.steps):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
    return {"wall": wall, "cpu": cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def build_training(case: Case, threads: int, precision: str = "32") -> Any:
    """Return a training whose model is untrained and whose images are noise."""
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
    given = {"size": case.size, "backbone": {"name": case.backbone, "channels": case.channels}}
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
    """Return the medians as a Markdown table: ratios of paired rounds, processor time, wall time and peaks."""
    if not rounds:
        return "Nothing is measured yet: run `make bench-speed`."
    lines = [
        "| step | threads, rounds | shipped / ours (wall) | tuned / ours (wall) | shipped / ours (CPU) "
        "| tuned / ours (CPU) | ours, s | GiB shipped / ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, case in CASES.items():
        for threads in sorted({r["threads"] for r in rounds if r["case"] == name}):
            lines.append(_line(case, threads, [r for r in rounds if (r["case"], r["threads"]) == (name, threads)]))
    machines, loads = "; ".join(sorted({r["machine"] for r in rounds})), [r["load"] for r in rounds]
    note = f"Machine: {machines}. Load at the start of a round: {min(loads):.1f} to {max(loads):.1f}."
    return "\n".join([*lines, "", note])


def _line(case: Case, threads: int, rounds: list[dict[str, Any]]) -> str:
    ratios = [
        statistics.median(r[side][what] / r["ours"][what] for r in rounds)
        for what in ("wall", "cpu") for side in ("shipped", "tuned")
    ]  # fmt: skip
    ours = statistics.median(r["ours"]["wall"] for r in rounds)
    peaks = [statistics.median(r[side]["peak"] for r in rounds) for side in ("shipped", "ours")]
    cells = [str(case), f"{threads}, {len(rounds)}", *(f"{ratio:.2f}" for ratio in ratios), f"{ours:.2f}"]
    return f"| {' | '.join(cells)} | {peaks[0]:.2f} / {peaks[1]:.2f} |"


def _add_round(name: str, number: int, options: argparse.Namespace) -> None:
    done = [r for r in _rounds() if (r["case"], r["threads"]) == (name, options.threads)]
    if len(done) > number:
        return
    load = os.getloadavg()[0]
    sides = {side: _spawn(name, side, options) for side in SIDES}
    ROUNDS.parent.mkdir(parents=True, exist_ok=True)
    with ROUNDS.open("a", encoding="utf-8") as file:
        record = {"case": name, "threads": options.threads, "load": load, "machine": _machine(), **sides}
        file.write(json.dumps(record) + "\n")
    print(f"{name}: " + ", ".join(f"{side} {cost['wall']:.2f} s ({cost['cpu']:.2f} s CPU)"
                                 for side, cost in sides.items()), flush=True)  # fmt: skip


def _spawn(name: str, side: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--cases", name, "--measure", side, "--threads", str(options.threads),
               "--steps", str(options.steps)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    if side == "shipped":
        environment["I2I_KEEP_ALLOCATOR"] = "1"
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    cost: dict[str, float] = json.loads(output.splitlines()[-1])
    return cost


def _rounds() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROUNDS.read_text(encoding="utf-8").splitlines()] if ROUNDS.exists() else []


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").exists() else []  # fmt: skip
    return f"{os.cpu_count()} cores, {names[0] if names else platform.processor()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    for name, default in {"rounds": 3, "steps": 3, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true", help="Write the table of the rounds at hand, without timing.")
    parser.add_argument("--measure", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
