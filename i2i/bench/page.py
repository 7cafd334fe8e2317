"""The report of a bench: contenders side by side, by metric and group."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.bench.statistics import (
    MARKS,
    Mean,
    Result,
    best,
    contenders,
    course,
    groups,
    mark,
    means,
    measured,
    metrics,
    seen,
)
from i2i.errors import ConfigError, DataError
from i2i.report.charts import Chart, Series
from i2i.report.facts import duration
from i2i.report.page import write_page
from i2i.report.pictures import whole
from i2i.report.scoreboard import Board, Mark, way
from i2i.storage.run_folder import REPORT_FILE

TABLE = "bench.json"
Cell = str | tuple[str, bool]


@dataclass(frozen=True)
class MetricPart:
    """What the page shows of one metric.

    Attributes:
        metric: The metric.
        way: Which way is up.
        measured: By which network, at which size, and of which images.
        groups: The columns of the table.
        rows: A row a contender: its name, and its mean over seeds in each group, with whether it is the best.
        boards: The same drawn, a board a group.
        charts: Scores against the drawings seen, a chart a group.
    """

    metric: str
    way: str
    measured: str
    groups: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    boards: Sequence[Board]
    charts: Sequence[Chart]


@dataclass(frozen=True)
class BackbonePart:
    """What the page shows of one backbone.

    Attributes:
        backbone: The backbone.
        picture: The same images by every contender, as a data URI; empty where there is none.
        metrics: A part a metric.
        seen: The drawings that each contender has seen, as a head and rows.
        tests: Paired tests, as rows.
    """

    backbone: str
    picture: str
    metrics: Sequence[MetricPart]
    seen: tuple[Sequence[str], Sequence[Sequence[str]]]
    tests: Sequence[Sequence[str]]


def results_of(folder: Path) -> Path | None:
    """Return the folder with a bench's results: the given one, or that in it; None of a folder that is no bench's."""
    return next((place for place in (folder, folder / "results") if (place / TABLE).is_file()), None)


def write_bench_report(folder: Path) -> Path:
    """Write ``report.html`` from the results of a bench, also of one that is not finished.

    Args:
        folder: The folder with ``bench.json``.

    Returns:
        The path of the page.

    Raises:
        ConfigError: What intervals are computed with is not installed.
        DataError: ``bench.json`` is damaged, or the page cannot be written.
    """
    told = _read(folder / TABLE)
    try:
        content = _content(told, folder)
    except ImportError as error:
        raise ConfigError(f"The report of a bench needs {error.name}. Install it: pip install 'i2i[bench]'.") from error
    return write_page(folder / REPORT_FILE, "bench.html.j2", **content)


def _read(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}). Let i2i bench write it anew.") from error
    missing = next((key for key in ("plan", "machine", "cells", "tests") if key not in told), None)
    if missing is not None:
        raise DataError(f"{path} lacks '{missing}'. Let i2i bench write it anew.")
    return told


def _content(told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    found: dict[str, list[Result]] = defaultdict(list)
    for cell in told["cells"]:
        own = cell["backbone"], cell["contender"], cell["seed"]
        found[cell["backbone"]] += [Result(*own, **model) for model in cell["models"]]
    plan, cells = told["plan"], told["cells"]
    planned = len(plan["backbones"]) * len(plan["contenders"]) * plan["seeds"]
    return {
        "title": f"{', '.join(plan['contenders'])} compared",
        "done": f"{len(cells)} of {planned} trainings",
        "complete": len(cells) >= planned,
        "backbones": [_part(backbone, own, told["tests"].get(backbone, ()), folder) for backbone, own in found.items()],
        "seeds": plan["seeds"],
        "time": duration(sum(cell["seconds"] for cell in cells)),
        "cells": [[c["contender"], str(c["seed"]), duration(c["seconds"]), c["command"]] for c in cells],
        "machine": told["machine"],
        "base": " ".join(plan.get("base", ())),
    }


def _part(backbone: str, results: Sequence[Result], tests: Sequence[Mapping[str, Any]], folder: Path) -> BackbonePart:
    found = [_metric(results, name, about) for name, about in metrics(results).items()]
    return BackbonePart(
        backbone, whole(folder / f"{backbone}.png", 1400), found, seen(results), [_test(test) for test in tests]
    )


def _metric(results: Sequence[Result], metric: str, about: Mapping[str, Any]) -> MetricPart:
    columns, up = groups(results), bool(about.get("higher_is_better"))
    scores = {group: means(results, group, metric) for group in columns}
    first = {group: best(own, up) for group, own in scores.items()}
    rows: list[list[Cell]] = [
        [name, *(_cell(scores[group].get(name), name in first[group]) for group in columns)]
        for name in contenders(results)
    ]
    boards = [_board(results, group, metric, scores[group]) for group in (columns[-1], *columns[:-1])]
    charts = [_chart(results, group, metric) for group in columns[:-1]]
    return MetricPart(
        metric, way(up), measured(about), columns, rows, boards, [chart for chart in charts if chart.series]
    )


def _cell(score: Mean | None, is_best: bool) -> Cell:
    return "" if score is None else (str(score), is_best)


def _board(results: Sequence[Result], group: str, metric: str, scores: Mapping[str, Mean]) -> Board:
    floor, ceiling = (mark(results, group, metric, name) for name in MARKS)
    marks = [
        Mark(
            name, score.value, *_interval(score), score.seeds, floor, ceiling, None, _each(results, name, group, metric)
        )
        for name, score in scores.items()
    ]
    return Board(group, "", marks, "", {})


def _interval(score: Mean) -> tuple[float, float]:
    low, high = score.low, score.high
    return (score.value if low is None else low), (score.value if high is None else high)


def _each(results: Sequence[Result], contender: str, group: str, metric: str) -> tuple[float, ...]:
    own = [result.value(group, metric) for result in results if result.contender == contender and result.final]
    known = tuple(value for value in own if value is not None)
    return known if len(known) > 1 else ()


def _chart(results: Sequence[Result], group: str, metric: str) -> Chart:
    series = [_curve(results, name, group, metric) for name in contenders(results)]
    return Chart(group, [one for one in series if one.values], f"drawings of {group} seen", zero=False)


def _curve(results: Sequence[Result], contender: str, group: str, metric: str) -> Series:
    points = course(results, contender, group, metric)
    return Series(contender, [point.seen for point in points], [point.value for point in points])


def _test(test: Mapping[str, Any]) -> list[str]:
    difference = str(Mean(**test["difference"]))
    chances = ["" if test[key] is None else f"{test[key]:.3f}" for key in ("p", "adjusted")]
    pair = f"{test['reference']} - {test['other']}"
    return [test["metric"], test["group"], pair, difference, *chances, test["better"]]
