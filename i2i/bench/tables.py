"""Tables of a bench as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from i2i.bench.statistics import (
    OVERALL,
    Mean,
    PairedTest,
    Result,
    best,
    contenders,
    groups,
    mark,
    means,
    metrics,
    seen,
    tests,
)
from i2i.contracts.scores import Judgement, plain_judgement
from i2i.report.dot_plots import MARKS, way


def markdown(results: Sequence[Result], reference: str) -> str:
    """Return Markdown tables: one per metric with its plots, then drawings seen, then paired tests overall."""
    parts = [_scores_table(results, metric, first) for metric, first in metrics(results).items()]
    return (
        "\n\n".join(
            [
                *parts,
                _seen_table(results),
                _tests_table([test for test in tests(results, reference) if test.group == OVERALL]),
            ]
        )
        + "\n"
    )


def comma_separated(results: Iterable[Result]) -> str:
    """Return CSV with one line per score of every model."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_KEYS, *_SCORE, *MARKS], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerows(_lines(result))
    return text.getvalue()


_KEYS = ("backbone", "contender", "seed", "step", "final", "group", "seen", "metric")

_SCORE = ("value", "low", "high", "n", "network", "resize", "split", "note")


def _lines(result: Result) -> Iterator[dict[str, Any]]:
    keys = {name: getattr(result, name) for name in ("backbone", "contender", "seed", "step", "final")}
    for group, scores in result.scores.items():
        for metric, score in scores.items():
            content = plain_judgement(score)
            marks = {str(name): (content[name] or {}).get("value") for name in MARKS}
            yield {**keys, "group": group, "seen": result.seen.get(group, 0), "metric": metric, **content, **marks}


def _scores_table(results: Sequence[Result], metric: str, first: Judgement) -> str:
    columns = groups(results)
    cells = {group: means(results, group, metric) for group in columns}
    leaders = {group: best(by_contender, bool(first.higher_is_better)) for group, by_contender in cells.items()}
    rows = [
        [name, *(_shown(cells[group].get(name), name in leaders[group]) for group in columns)]
        for name in contenders(results)
    ]
    marks = [
        [f"*{label}*", *(_figure(mark(results, group, metric, name)) for group in columns)]
        for name, label in MARKS.items()
    ]
    stem = f"{next(iter(results)).backbone}-{metric}"
    figures = f"![Final scores]({stem}.png)\n\n![Against drawings seen]({stem}-seen.png)"
    return f"### {metric}\n\n{_caption(first)}\n\n" + _table(["", *columns], [*rows, *marks]) + f"\n\n{figures}"


def _caption(first: Judgement) -> str:
    up = way(bool(first.higher_is_better)).capitalize()
    return "; ".join(filter(None, [up, first.measured])) + f"; n = {first.n} in the first group."


def _shown(score: Mean | None, best: bool) -> str:
    if score is None:
        return "-"
    return f"**{score}**" if best else str(score)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _seen_table(results: Sequence[Result]) -> str:
    return "### Drawings seen\n\n" + _table(*seen(results))


def _tests_table(paired: Sequence[PairedTest]) -> str:
    heading = "### Paired tests over seeds\n\nFor the mean over groups; tests of single groups are in `bench.json`.\n\n"
    if not paired:
        return heading + "Not computed: this needs at least two seeds.\n"
    rows = [
        [t.metric, f"{t.reference} - {t.other}", str(t.difference), _figure(t.p), _figure(t.adjusted), t.better]
        for t in paired
    ]
    return heading + _table(["metric", "", "difference", "p", "p (Holm)", "better"], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
