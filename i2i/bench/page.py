"""The report of a bench: contenders side by side, per metric and group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.bench.files import BenchResults, read_json
from i2i.bench.statistics import (
    Mean,
    PairedTest,
    Result,
    best,
    contenders,
    course,
    groups,
    mark,
    means,
    metrics,
    seen,
)
from i2i.bench.verdict import verdict
from i2i.compute.units import duration
from i2i.contracts.scores import Judgement
from i2i.errors import ConfigError
from i2i.report.charts import Chart, Series
from i2i.report.dot_plots import MARKS, Dot, DotPlot, way
from i2i.report.metrics import meaning
from i2i.report.page import write_page
from i2i.report.pictures import whole
from i2i.storage.files import inside
from i2i.storage.run_folder import REPORT_FILE

TABLE = "bench.json"
Cell = str | tuple[str, bool]


@dataclass(frozen=True)
class MetricPart:
    """The section of the page on one metric.

    Attributes:
        metric: The metric.
        way: Which direction is better.
        meaning: What it measures.
        measured: Network, resizing and images.
        groups: The columns of the table.
        rows: One row per contender: its name, then per group its mean over seeds and whether that is the best.
        dot_plots: The same scores, one plot per group.
        charts: Scores against drawings seen, one chart per group.
    """

    metric: str
    way: str
    meaning: str
    measured: str
    groups: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    dot_plots: Sequence[DotPlot]
    charts: Sequence[Chart]


@dataclass(frozen=True)
class BackbonePart:
    """The section of the page on one backbone.

    Attributes:
        backbone: The backbone.
        picture: The same images translated by every contender, as a data URI; may be empty.
        metrics: One section per metric.
        seen: Header and rows with the number of drawings seen by each contender.
        tests: Rows of paired tests.
    """

    backbone: str
    picture: str
    metrics: Sequence[MetricPart]
    seen: tuple[Sequence[str], Sequence[Sequence[str]]]
    tests: Sequence[Sequence[str]]


def results_of(folder: Path) -> Path | None:
    """Return the folder holding a bench's results: ``folder`` or its ``results``; None if neither does."""
    return next((place for place in (folder, folder / "results") if (place / TABLE).is_file()), None)


def write_bench_report(folder: Path) -> Path:
    """Write ``report.html`` from the results of a bench, finished or not.

    Args:
        folder: The folder with ``bench.json``.

    Returns:
        The path of the page.

    Raises:
        ConfigError: scipy, needed for intervals, is not installed.
        DataError: ``bench.json`` is damaged, or the page cannot be written.
    """
    results = read_json(BenchResults, folder / TABLE, "Run i2i bench again to rewrite it.")
    try:
        content = _content(results, folder)
    except ImportError as error:
        raise ConfigError(f"The report of a bench needs {error.name}. Install it: pip install 'i2i[bench]'.") from error
    return write_page(folder / REPORT_FILE, "bench.html.j2", **content)


def _content(bench: BenchResults, folder: Path) -> dict[str, Any]:
    by_backbone: dict[str, list[Result]] = defaultdict(list)
    for cell in bench.cells:
        by_backbone[cell.backbone] += cell.results
    plan, cells = bench.plan, bench.cells
    return {
        "title": f"{', '.join(plan.contenders)} compared",
        "done": f"{len(cells)} of {plan.trainings} training runs",
        "complete": len(cells) >= plan.trainings,
        "verdicts": [verdict(name, one, bench.tests.get(name, ())) for name, one in by_backbone.items()],
        "backbones": [_part(name, results, bench.tests.get(name, ()), folder) for name, results in by_backbone.items()],
        "seeds": plan.seeds,
        "time": duration(sum(cell.seconds for cell in cells)),
        "cells": [[cell.contender, str(cell.seed), duration(cell.seconds), cell.command] for cell in cells],
        "machine": bench.machine,
        "base": " ".join(plan.base),
    }


def _part(backbone: str, results: Sequence[Result], tests: Sequence[PairedTest], folder: Path) -> BackbonePart:
    parts = [_metric(results, name, first) for name, first in metrics(results).items()]
    picture = whole(inside(folder, f"{backbone}.png"), 1400)
    return BackbonePart(backbone, picture, parts, seen(results), [_test(test) for test in tests])


def _metric(results: Sequence[Result], metric: str, first: Judgement) -> MetricPart:
    columns, up = groups(results), bool(first.higher_is_better)
    scores = {group: means(results, group, metric) for group in columns}
    leaders = {group: best(by_contender, up) for group, by_contender in scores.items()}
    rows: list[list[Cell]] = [
        [name, *(_cell(scores[group].get(name), name in leaders[group]) for group in columns)]
        for name in contenders(results)
    ]
    plots = [_dot_plot(results, group, metric, scores[group]) for group in (columns[-1], *columns[:-1])]
    charts = [chart for group in columns[:-1] if (chart := _chart(results, group, metric)).has_curve]
    return MetricPart(metric, way(up), meaning(metric), first.measured, columns, rows, plots, charts)


def _cell(score: Mean | None, is_best: bool) -> Cell:
    return "" if score is None else (str(score), is_best)


def _dot_plot(results: Sequence[Result], group: str, metric: str, scores: Mapping[str, Mean]) -> DotPlot:
    real, untranslated = (mark(results, group, metric, name) for name in MARKS)
    dots = [
        Dot(
            name,
            score.value,
            *_interval(score),
            score.seeds,
            real,
            untranslated,
            None,
            _each(results, name, group, metric),
        )
        for name, score in scores.items()
    ]
    return DotPlot(group, "", dots, "", {})


def _interval(score: Mean) -> tuple[float, float]:
    low, high = score.low, score.high
    return (score.value if low is None else low), (score.value if high is None else high)


def _each(results: Sequence[Result], contender: str, group: str, metric: str) -> tuple[float, ...]:
    values = [result.value(group, metric) for result in results if result.contender == contender and result.final]
    known = tuple(value for value in values if value is not None)
    return known if len(known) > 1 else ()


def _chart(results: Sequence[Result], group: str, metric: str) -> Chart:
    series = [_curve(results, name, group, metric) for name in contenders(results)]
    return Chart(group, [one for one in series if one.values], f"drawings of {group} seen", zero=False)


def _curve(results: Sequence[Result], contender: str, group: str, metric: str) -> Series:
    points = course(results, contender, group, metric)
    return Series(contender, [point.seen for point in points], [point.value for point in points])


def _test(test: PairedTest) -> list[str]:
    chances = ["" if chance is None else f"{chance:.3f}" for chance in (test.p, test.adjusted)]
    return [test.metric, test.group, f"{test.reference} - {test.other}", str(test.difference), *chances, test.better]
