"""The output files of a bench: the results in three formats, plots and pictures."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import i2i
from i2i.bench import plots, statistics, tables
from i2i.bench.bench import Bench, Cell
from i2i.bench.files import BenchResults, CellResults, PlanSummary, ScoredModel
from i2i.bench.page import TABLE, write_bench_report
from i2i.bench.statistics import Result
from i2i.evaluation.heldout import show
from i2i.images.files import write_image
from i2i.images.grids import Block
from i2i.models.checkpoint import load
from i2i.runs.setup import read_setup
from i2i.storage.files import inside, write_text
from i2i.storage.run_folder import MODEL_FILE, read_config

TEXT, LINES = "bench.md", "bench.csv"
SHOWN = 2
"""Number of images per group in the pictures."""
Scored = Mapping[Cell, Sequence[Result]]


def write_results(bench: Bench, scored: Scored, reference: str, folder: Path) -> None:
    """Write ``bench.json``, ``.md`` and ``.csv``, ``*.png`` and ``report.html`` for the cells scored so far.

    Args:
        bench: The bench.
        scored: Results by scored cell.
        reference: The contender to test the others against.
        folder: The output folder; existing files are replaced.

    Raises:
        DataError: A file cannot be written.
    """
    _results(bench, scored, reference).write(folder / TABLE)
    write_text(folder / LINES, tables.comma_separated(result for results in scored.values() for result in results))
    write_text(folder / TEXT, _text(bench, scored, reference))
    for backbone, cells in _by_backbone(scored).items():
        results = [result for cell in cells for result in scored[cell]]
        for metric in statistics.metrics(results):
            plots.dots(results, metric, inside(folder, f"{backbone}-{metric}.png"))
            plots.curves(results, metric, inside(folder, f"{backbone}-{metric}-seen.png"))
        write_image(plots.pictures(_blocks(bench, cells)), inside(folder, f"{backbone}.png"))
    write_bench_report(folder)


def _results(bench: Bench, scored: Scored, reference: str) -> BenchResults:
    by_backbone = {name: [r for cell in cells for r in scored[cell]] for name, cells in _by_backbone(scored).items()}
    return BenchResults(
        plan=PlanSummary.model_validate(bench.plan.model_dump()),
        version=i2i.__version__,
        machine=_machine(bench, scored),
        reference=reference,
        cells=tuple(_cell(bench, cell, results) for cell, results in scored.items()),
        tests={name: tuple(statistics.tests(results, reference)) for name, results in by_backbone.items()},
    )


def _cell(bench: Bench, cell: Cell, results: Sequence[Result]) -> CellResults:
    return CellResults(
        backbone=cell.backbone,
        contender=cell.contender,
        seed=cell.seed,
        command=cell.command,
        seconds=round(bench.cost(cell), 1),
        models=tuple(ScoredModel(step=r.step, final=r.final, seen={**r.seen}, scores=r.scores) for r in results),
    )


def _text(bench: Bench, scored: Scored, reference: str) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in _machine(bench, scored).items())
    parts = [f"# Bench\n\ni2i {i2i.__version__} on {machine}."]
    for backbone, cells in _by_backbone(scored).items():
        results = [result for cell in cells for result in scored[cell]]
        text = tables.markdown(results, reference)
        parts.append(f"## {backbone}\n\n![{backbone}]({backbone}.png)\n\n{text}\n{_costs(bench, cells)}")
    return "\n\n".join(parts) + "\n"


def _costs(bench: Bench, cells: Sequence[Cell]) -> str:
    lines = [f"| {c.contender} | {c.seed} | {bench.cost(c):.0f} | `{c.command}` |" for c in cells]
    return "\n".join(["### Cells\n", "| | seed | seconds | command |", "| --- | --- | --- | --- |", *lines])


def _machine(bench: Bench, scored: Scored) -> dict[str, Any]:
    """Return the machine recorded by the first base model's run, plus this machine's number of cores."""
    config = read_config(bench.base(next(iter(scored)).backbone))
    return {**config.get("machine", {}), "cores": os.cpu_count()}


def _blocks(bench: Bench, cells: Sequence[Cell]) -> list[Block]:
    """Return pictures translated by the first seed's models."""
    first = [cell for cell in cells if cell.seed == cells[0].seed]
    models = {cell.contender: load(cell.folder / MODEL_FILE, bench.registry) for cell in first}
    return show(models, read_setup(first[0].folder, bench.registry).dataset, SHOWN)


def _by_backbone(scored: Scored) -> dict[str, list[Cell]]:
    cells = defaultdict(list)
    for cell in scored:
        cells[cell.backbone].append(cell)
    return dict(cells)
