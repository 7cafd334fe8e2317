"""Dot plots of scores: one dot with interval per group, next to real drawings and untranslated sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement, Scores, plain_judgement
from i2i.evaluation.metrics_log import Line
from i2i.report.record import Record

OVERALL = "overall"
Mark = Literal["real_drawings", "untranslated"]
"""The name in `Judgement` of a score to compare a model with."""

MARKS: dict[Mark, str] = {"real_drawings": "real drawings", "untranslated": "untranslated"}
"""Labels of marks in tables and legends."""
MARGIN = 0.04  # fraction of the width outside the outermost values


@dataclass(frozen=True)
class Dot:
    """One score on a line: a dot, its interval, and scores to compare it with.

    Attributes:
        name: The group or contender.
        value: The score.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: The number of images or seeds.
        real_drawings: The score of real drawings, if known.
        untranslated: The score of untranslated sources, if known.
        before: The score of the base model, if there is one.
        each: The individual scores, if this is their mean.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    real_drawings: float | None = None
    untranslated: float | None = None
    before: float | None = None
    each: tuple[float, ...] = ()

    @property
    def has_interval(self) -> bool:
        """Whether an interval is known; it takes more than one image, design or seed."""
        return Score(self.value, self.low, self.high, self.n).has_interval

    @property
    def places(self) -> list[float]:
        """All drawn values."""
        values = (self.value, self.low, self.high, self.real_drawings, self.untranslated, self.before, *self.each)
        return [value for value in values if value is not None]


@dataclass(frozen=True)
class DotPlot:
    """Scores of one metric, one line per dot.

    Attributes:
        metric: The metric.
        way: Which direction is better, if known.
        dots: One dot per group.
        measured: Network, resizing and images, if known.
        notes: By group, the reason for a missing score, or a caveat.
    """

    metric: str
    way: str
    dots: Sequence[Dot]
    measured: str
    notes: Mapping[str, str]

    def place(self, value: float) -> float:
        """Return the position of a value on the line, from 0 to 100."""
        places = [place for dot in self.dots for place in dot.places]
        low, width = min(places), max(1e-9, max(places) - min(places))
        return round(100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / width), 2)


def dot_plots(record: Record) -> list[DotPlot]:
    """Return one plot per metric of the last evaluation; after a transfer, including the base model's scores."""
    last = record.last(lambda line: line.scores)
    if last is None:
        return []
    line, scores = last
    base = record.of("base", lambda line: line.scores)[-1:] if line.stage == "transfer" else []
    metrics = dict.fromkeys(name for by_metric in scores.values() for name in by_metric)
    return [
        _dot_plot(name, _with_mean(line, scores, name), _before(base[0][1], scores, name) if base else {})
        for name in metrics
    ]


def score_rows(record: Record) -> list[dict[str, Any]]:
    """Return one flat row per score: stage, step, group, metric, and every field of the judgement."""
    return [
        {"stage": line.stage, "step": line.step, "group": group, "metric": metric, **_flat(judgement)}
        for line in record.lines
        if line.scores is not None
        for group, by_metric in {**line.scores, OVERALL: line.overall or {}}.items()
        for metric, judgement in by_metric.items()
    ]


def _dot_plot(metric: str, judgements: Mapping[str, Judgement], before: Mapping[str, float]) -> DotPlot:
    scored = [(group, one, score) for group, one in judgements.items() if (score := one.score) is not None]
    notes = {group: one.note for group, one in judgements.items() if one.note}
    dots = [_dot(group, one, score, before.get(group)) for group, one, score in scored]
    first = scored[0][1] if scored else Judgement(higher_is_better=None)
    return DotPlot(metric, way(first.higher_is_better), dots, first.measured, notes)


def _dot(group: str, one: Judgement, score: Score, before: float | None) -> Dot:
    real, untranslated = (None if mark is None else mark.value for mark in (one.real_drawings, one.untranslated))
    return Dot(group, score.value, score.low, score.high, score.n, real, untranslated, before)


def way(higher_is_better: bool | None) -> str:
    """Return which direction is better as text; empty if unknown."""
    return {None: "", True: "higher is better", False: "lower is better"}[higher_is_better]


def _with_mean(line: Line, scores: Scores, metric: str) -> dict[str, Judgement]:
    """Return the scores of a metric by group, plus their mean if it covers all scored groups."""
    judgements = _of(scores, metric)
    mean = (line.overall or {}).get(metric)
    n = [one.n for one in judgements.values() if one.value is not None]
    return {**judgements, OVERALL: mean} if mean and len(n) > 1 and mean.n == sum(n) else judgements


def _before(base: Scores, scores: Scores, metric: str) -> dict[str, float]:
    """Return the base model's scores by group, plus their mean over the groups scored now."""
    known, now = _values(_of(base, metric)), list(_values(_of(scores, metric)))
    return {**known, OVERALL: fmean(known[group] for group in now)} if set(now) <= set(known) and now else known


def _of(scores: Scores, metric: str) -> dict[str, Judgement]:
    return {group: by_metric[metric] for group, by_metric in scores.items() if metric in by_metric}


def _values(judgements: Mapping[str, Judgement]) -> dict[str, float]:
    return {group: one.value for group, one in judgements.items() if one.value is not None}


def _flat(judgement: Judgement) -> dict[str, Any]:
    """Flatten a judgement into one row: the parts of a mark become ``untranslated``, ``untranslated_low``, etc."""
    content = plain_judgement(judgement)
    flat = {key: value for key, value in content.items() if key not in MARKS}
    for mark in MARKS:
        for part, value in (content[mark] or {}).items():
            flat[mark if part == "value" else f"{mark}_{part}"] = value
    return flat
