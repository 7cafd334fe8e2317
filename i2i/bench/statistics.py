"""Statistics of a bench: means over seeds, and paired tests between contenders."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from i2i.config.options import GroupName
from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement, Scores
from i2i.report.dot_plots import Mark

OVERALL = "overall"
"""Name of the unweighted mean over groups."""

LEVEL = 0.95


@dataclass(frozen=True)
class Result:
    """One scored model of one cell.

    Attributes:
        backbone: The backbone.
        contender: The contender that adapted the base model.
        seed: The seed.
        step: Transfer steps taken.
        final: Whether it is the finished model.
        seen: Total number of training drawings seen, by group, including the base stage.
        scores: Judgements by group and metric.
    """

    backbone: str
    contender: str
    seed: int
    step: int
    final: bool
    seen: Mapping[str, int]
    scores: Scores = field(repr=False)

    @property
    def groups(self) -> tuple[str, ...]:
        """All scored groups."""
        return tuple(self.scores)

    def value(self, group: str, metric: str) -> float | None:
        """Return a group's score, or for `OVERALL` the mean over groups; None if any score is missing."""
        if group == OVERALL:
            values = [self.value(name, metric) for name in self.groups]
            known = [value for value in values if value is not None]
            return fmean(known) if known and len(known) == len(values) else None
        judgement = self.scores.get(group, {}).get(metric)
        return None if judgement is None else judgement.value


@dataclass(frozen=True)
class Mean:
    """A contender's mean score over seeds with Student's 95 % interval, which needs at least two seeds."""

    value: float
    low: float | None
    high: float | None
    seeds: int

    def __str__(self) -> str:
        if self.low is None or self.high is None or self.high == self.low:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ± {(self.high - self.low) / 2:.3f}"


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test between two contenders over seeds.

    Attributes:
        metric: The metric.
        group: The group, or `OVERALL`.
        reference: The contender that others are compared with.
        other: The other contender.
        difference: Mean of reference - other with its 95 % interval.
        p: Two-sided p-value; None if all differences are identical.
        adjusted: p after Holm's correction (1979) over all tests of the metric in the group.
        better: The better of the two, or "neither".
    """

    metric: str
    group: GroupName
    reference: str
    other: str
    difference: Mean
    p: float | None
    adjusted: float | None
    better: str


@dataclass(frozen=True)
class Point:
    """A contender's scores after seeing a number of drawings of a group.

    Attributes:
        seen: Mean number of drawings seen over seeds.
        values: One score per seed.
    """

    seen: float
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The mean score."""
        return fmean(self.values)


def metrics(results: Iterable[Result]) -> dict[str, Judgement]:
    """Return the first judgement with a score of each metric."""
    judgements = (item for result in results for by_metric in result.scores.values() for item in by_metric.items())
    first: dict[str, Judgement] = {}
    for name, judgement in judgements:
        if judgement.value is not None:
            first.setdefault(name, judgement)
    return first


def groups(results: Iterable[Result]) -> list[str]:
    """Return all scored groups in order, then `OVERALL`."""
    return [*dict.fromkeys(group for result in results for group in result.groups), OVERALL]


def contenders(results: Iterable[Result]) -> list[str]:
    """Return all contenders in order."""
    return list(dict.fromkeys(result.contender for result in results))


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of one value per seed with Student's interval."""
    centre, n = fmean(values), len(values)
    if n < 2:
        return Mean(centre, None, None, n)
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * stdev(values) / math.sqrt(n)
    return Mean(centre, centre - half, centre + half, n)


def means(results: Sequence[Result], group: str, metric: str) -> dict[str, Mean]:
    """Return the mean over seeds for each contender with scores."""
    by_contender = {name: list(_by_seed(results, name, group, metric).values()) for name in contenders(results)}
    return {name: mean(values) for name, values in by_contender.items() if values}


def course(results: Iterable[Result], contender: str, group: str, metric: str) -> list[Point]:
    """Return a contender's scores over time, one point per step that all seeds have scored.

    If the contender sees no further drawings of the group, return only the last point.
    """
    by_step: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for result in results:
        value = result.value(group, metric)
        if result.contender == contender and value is not None:
            by_step[result.step].append((result.seen.get(group, 0), value))
    seeds = max(map(len, by_step.values()), default=0)
    full = [pairs for _, pairs in sorted(by_step.items()) if len(pairs) == seeds]
    points = [Point(fmean(seen for seen, _ in pairs), tuple(value for _, value in pairs)) for pairs in full]
    return points if len({point.seen for point in points}) > 1 else points[-1:]


def mark(results: Sequence[Result], group: str, metric: str, name: Mark) -> float | None:
    """Return the score of real drawings or untranslated sources; for `OVERALL` the mean if all groups have one."""
    names = results[0].groups if group == OVERALL else (group,)
    marks = [_mark(results[0].scores.get(one, {}).get(metric), name) for one in names]
    values = [one.value for one in marks if one is not None]
    return fmean(values) if values and len(values) == len(marks) else None


def _mark(judgement: Judgement | None, name: Mark) -> Score | None:
    if judgement is None:
        return None
    return judgement.real_drawings if name == "real_drawings" else judgement.untranslated


def seen(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table with the number of drawings seen by each contender."""
    columns = groups(results)[:-1]
    final = {result.contender: result for result in results if result.final}
    rows = [[name, str(r.step), *(str(r.seen.get(group, 0)) for group in columns)] for name, r in final.items()]
    return ["", "steps", *columns], rows


def best(scores: Mapping[str, Mean], higher: bool) -> set[str]:
    """Return the contenders with the best mean; several if equal after rounding."""
    if not scores:
        return set()
    figures = {name: f"{score.value:.3f}" for name, score in scores.items()}
    top = (max if higher else min)(scores, key=lambda name: scores[name].value)
    return {name for name, figure in figures.items() if figure == figures[top]}


def tests(results: Sequence[Result], reference: str) -> list[PairedTest]:
    """Test a contender against every other, per metric and group, over their common seeds."""
    others = [name for name in contenders(results) if name != reference]
    adjusted = []
    for metric, first in metrics(results).items():
        up = bool(first.higher_is_better)
        for group in groups(results):
            family = [_test(results, metric, group, reference, other, up) for other in others]
            adjusted += _adjusted([test for test in family if test is not None])
    return adjusted


def _by_seed(results: Iterable[Result], contender: str, group: str, metric: str) -> dict[int, float]:
    pairs = ((r.seed, r.value(group, metric)) for r in results if r.contender == contender and r.final)
    return {seed: value for seed, value in pairs if value is not None}


def _test(
    results: Sequence[Result], metric: str, group: str, reference: str, other: str, higher: bool
) -> PairedTest | None:
    ours, theirs = (_by_seed(results, name, group, metric) for name in (reference, other))
    gaps = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if len(gaps) < 2:
        return None
    difference = mean(gaps)
    ahead = reference if (difference.value > 0) == higher else other
    p = _chance(gaps)
    return PairedTest(metric, group, reference, other, difference, p, p, ahead if difference.value else "neither")


def _chance(gaps: Sequence[float]) -> float | None:
    """Return the two-sided p-value of a one-sample t-test against 0; None if all values are equal."""
    spread = stdev(gaps)
    if spread == 0:
        return None
    from scipy.stats import t

    return float(2 * t.sf(abs(fmean(gaps)) / (spread / math.sqrt(len(gaps))), len(gaps) - 1))


def _adjusted(family: Sequence[PairedTest]) -> list[PairedTest]:
    """Apply Holm's correction: multiply the k-th smallest of m p-values by m - k + 1, monotonic and capped at 1."""
    order = sorted((test.p, index) for index, test in enumerate(family) if test.p is not None)
    adjusted, least = dict[int, float](), 0.0
    for rank, (p, index) in enumerate(order):
        least = adjusted[index] = max(least, min(1.0, p * (len(order) - rank)))
    return [replace(test, adjusted=adjusted.get(index)) for index, test in enumerate(family)]
