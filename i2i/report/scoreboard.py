"""Scores as a page shows them: by group, each with its interval, between a floor and a ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from i2i.contracts.metric import Score
from i2i.report.record import Record
from i2i.storage.run_folder import Line

OVERALL = "overall"
MARGIN = 0.04  # of the width, beside the outermost mark


@dataclass(frozen=True)
class Mark:
    """One score on a line: a dot, its interval, and what it may be held against.

    Attributes:
        name: Whose score it is, such as a group's.
        value: The score.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: How many images, or seeds, it is of.
        floor: What real drawings score, if known.
        ceiling: What untranslated sources score, if known.
        before: What the base model scores, if there is one.
        each: Single scores of which this is the mean.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    floor: float | None = None
    ceiling: float | None = None
    before: float | None = None
    each: tuple[float, ...] = ()

    @property
    def has_interval(self) -> bool:
        """Whether one is known: not of one image, one design or one seed."""
        return Score(self.value, self.low, self.high, self.n).has_interval

    @property
    def places(self) -> list[float]:
        """Every value that is marked."""
        marks = (self.value, self.low, self.high, self.floor, self.ceiling, self.before, *self.each)
        return [mark for mark in marks if mark is not None]


@dataclass(frozen=True)
class Board:
    """The scores of one metric.

    Attributes:
        metric: The metric.
        way: Which way is up, if known.
        marks: A mark a group.
        measured: By which network, at which size, and of which images, as far as known.
        notes: Group to why it has no score, or what to keep in mind.
    """

    metric: str
    way: str
    marks: Sequence[Mark]
    measured: str
    notes: Mapping[str, str]

    def place(self, value: float) -> float:
        """Return where a value lies on the line, from 0 to 100."""
        places = [place for mark in self.marks for place in mark.places]
        low, width = min(places), max(1e-9, max(places) - min(places))
        return round(100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / width), 2)


def boards(record: Record) -> list[Board]:
    """Return the boards of the last evaluation, with what the base model scored where a transfer followed it."""
    line = record.last("scores")
    if line is None:
        return []
    before = record.of("base", "scores")[-1:] if line["stage"] == "transfer" else []
    metrics = dict.fromkeys(name for own in line["scores"].values() for name in own)
    return [_board(name, _all_of(line, name), _before(before[0], line, name) if before else {}) for name in metrics]


def score_rows(record: Record) -> list[dict[str, Any]]:
    """Return a flat row a score: stage, step, group and metric, then all that is known of it."""
    return [
        {"stage": line["stage"], "step": line["step"], "group": group, "metric": metric, **_flat(score)}
        for line in record.lines
        if "scores" in line
        for group, own in {**line["scores"], OVERALL: line.get("overall") or {}}.items()
        for metric, score in own.items()
    ]


def _board(metric: str, scores: Mapping[str, Any], before: Mapping[str, Any]) -> Board:
    measured = [score for score in scores.values() if score.get("value") is not None]
    about = measured[0] if measured else {}
    notes = {group: score["note"] for group, score in scores.items() if score.get("note")}
    marks = [_mark(group, score, before.get(group)) for group, score in scores.items() if score in measured]
    told = [about[key] for key in ("network", "resize", "split") if about.get(key)]
    return Board(metric, way(about.get("higher_is_better")), marks, "; ".join(told), notes)


def _mark(group: str, score: Mapping[str, Any], before: float | None) -> Mark:
    floor, ceiling = ((score.get(key) or {}).get("value") for key in ("floor", "ceiling"))
    value, low, high = (score[key] for key in ("value", "low", "high"))
    return Mark(group, value, low, high, score["n"], floor, ceiling, before)


def way(higher_is_better: bool | None) -> str:
    """Say which way is up; nothing where it is not known."""
    return {None: "", True: "higher is better", False: "lower is better"}[higher_is_better]


def _all_of(line: Line, metric: str) -> dict[str, Any]:
    """Return the scores of a metric by group, and last their mean, unless that is of some of them alone."""
    scores = _of(line, metric)
    mean = (line.get("overall") or {}).get(metric)
    n = [score["n"] for score in scores.values() if score.get("value") is not None]
    return {**scores, OVERALL: mean} if mean and len(n) > 1 and mean["n"] == sum(n) else scores


def _before(base: Line, line: Line, metric: str) -> dict[str, float]:
    """Return what a base model scores by group, and the mean of it over the groups that ``line`` scores."""
    found = {group: score["value"] for group, score in _of(base, metric).items() if score.get("value") is not None}
    asked = [group for group, score in _of(line, metric).items() if score.get("value") is not None]
    return {**found, OVERALL: fmean(found[group] for group in asked)} if set(asked) <= set(found) and asked else found


def _of(line: Line, metric: str) -> dict[str, Any]:
    return {group: own[metric] for group, own in line["scores"].items() if metric in own}


def _flat(score: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parts of a floor and a ceiling ``floor_low`` and so on, and their value plainly."""
    flat = {key: value for key, value in score.items() if key not in ("floor", "ceiling")}
    for mark in ("floor", "ceiling"):
        for part, value in (score.get(mark) or {}).items():
            flat[mark if part == "value" else f"{mark}_{part}"] = value
    return flat
