"""Rounds of a benchmark, kept in benchmarks/results/speed/, and the tables of docs/speed.md made from them.

Every round is a line of JSON with the case, threads, load, machine, and the last commit that changed the measured
code. A stopped benchmark continues with the rounds that are missing of the present code, and the tables show each case
at the newest commit it was measured at.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speed"
PAGE = ROOT / "docs" / "speed.md"
MEASURED = ("i2i", "plugins")  # whose commit counts

Round = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark whose rounds are kept.

    Args:
        name: Names the file of rounds and the marks around the table.
        headings: Of the table, after the case and its threads and rounds.
        rows: Returns the rows of the table, each with its label first, from all rounds of a case.
        order: Cases in the order of the table; others follow as measured.
    """

    name: str
    headings: Sequence[str]
    rows: Callable[[list[Round]], Iterable[Sequence[str]]]
    order: Sequence[str] = ()

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.name}.jsonl"

    def rounds(self) -> list[Round]:
        """Return the rounds at hand, the oldest first."""
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()] if self.file.exists() else []

    def measure(
        self, case: str, threads: int, number: int, work: Callable[[], Mapping[str, Any]], device: str = "cpu"
    ) -> None:
        """Add round ``number``, counted from 0, to those of the present code and device, unless it is there.

        Its rows are printed.
        """
        key = {"case": case, "threads": threads, "commit": commit(), "machine": machine(device)}
        if sum(key.items() <= r.items() for r in self.rounds()) > number:
            return
        record = {**key, "load": os.getloadavg()[0], **work()}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for row in self.rows([record]):
            print(*row, sep=" | ", flush=True)

    def tables(self, rounds: list[Round]) -> str:
        """Return the rounds as Markdown tables, one for each machine, with the load and commits below it."""
        if not rounds:
            return "Nothing is measured yet: run `make bench-speed`."
        machines = dict.fromkeys(r["machine"] for r in rounds)
        return "\n\n".join(self._table([r for r in rounds if r["machine"] == machine]) for machine in machines)

    def _table(self, rounds: list[Round]) -> str:
        lines = [_line(["", "threads, rounds", *self.headings]), "|" + "---|" * (len(self.headings) + 2)]
        cases = self._newest(rounds)
        for (_, threads), kept in cases.items():
            counts = f"{threads or 'default'}, {len(kept)}"
            lines += [_line([label, counts, *cells]) for label, *cells in self.rows(kept)]
        return "\n".join([*lines, "", _note([r for kept in cases.values() for r in kept])])

    def place(self, page: str) -> str:
        """Return a page with the table of the rounds at hand between its marks."""
        begin, end = f"<!-- {self.name} table -->", f"<!-- end of {self.name} table -->"
        head, found, rest = page.partition(begin)
        if not found or end not in rest:
            raise SystemExit(f"docs/speed.md lacks the marks '{begin}' and '{end}'.")
        return f"{head}{begin}\n{self.tables(self.rounds())}\n{end}{rest.partition(end)[2]}"

    def write_table(self) -> None:
        """Write the table into docs/speed.md."""
        PAGE.write_text(self.place(PAGE.read_text("utf-8")), "utf-8")

    def _newest(self, rounds: list[Round]) -> dict[tuple[str, int], list[Round]]:
        """Group rounds by case and threads, each as measured at its newest commit."""
        groups: dict[tuple[str, int], list[Round]] = {}
        for r in rounds:
            groups.setdefault((r["case"], r["threads"]), []).append(r)
        order = {case: place for place, case in enumerate(self.order)}
        return {key: [r for r in groups[key] if r["commit"] == groups[key][-1]["commit"]]
                for key in sorted(groups, key=lambda key: order.get(key[0], len(order)))}  # fmt: skip


def median(rounds: Iterable[Round], *keys: str, turns: str = "turns") -> float:
    """Return the median over rounds of the median over turns; ``keys`` lead to a turn's value."""
    return median_ratio(rounds, keys, (), turns)


def median_ratio(rounds: Iterable[Round], over: Sequence[str], under: Sequence[str], turns: str = "turns") -> float:
    """Return the median over rounds of the median over turns of one value relative to another of the same turn.

    Args:
        rounds: The rounds.
        over: Keys that lead to the first value.
        under: Keys that lead to the second; without any, it is 1.
        turns: The name under which a round has its turns.
    """
    return statistics.median(
        statistics.median(
            reduce(getitem, over, turn) / (reduce(getitem, under, turn) if under else 1) for turn in r[turns]
        )
        for r in rounds
    )


def ratios(rounds: list[Round], slow: str, fast: str, turns: str = "turns") -> list[str]:
    """Return how many times the wall time and the processor time of one side those of another are, for a row."""
    return [f"{median_ratio(rounds, (slow, what), (fast, what), turns):.2f}" for what in ("wall", "cpu")]


def commit() -> str:
    """Return the last commit that changed the measured code, with a ``+`` if the code differs from it."""
    try:
        last = _git("log", "-1", "--format=%h", "--", *MEASURED)
        return last + "+" * bool(_git("status", "--porcelain", "--", *MEASURED))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine(device: str = "cpu") -> str:
    """Return the number of cores, and the name of the processor or of the GPU."""
    if device == "cuda":
        return f"{os.cpu_count()} cores, {torch.cuda.get_device_name()}"
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else platform.processor()}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _note(rounds: list[Round]) -> str:
    machines, commits = ("; ".join(dict.fromkeys(r[name] for r in rounds)) for name in ("machine", "commit"))
    loads = [r["load"] for r in rounds]
    return (
        f"Machine: {machines}. Load at the start of a round: {min(loads):.1f} to {max(loads):.1f}. Commit: {commits}."
    )
