"""What a bench found: means over seeds, paired tests between contenders, and the tables that show them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement, Scores
from i2i.report.dot_plots import Mark

OVERALL = "overall"
"""The mean over groups, each of which counts alike."""

LEVEL = 0.95


@dataclass(frozen=True)
class Result:
    """One scored model of one cell.

    Attributes:
        backbone: The backbone.
        contender: What carried the base model over.
        seed: The seed of that.
        step: Steps of the transfer that it has taken.
        final: True for the finished model.
        seen: Group to training drawings that it has seen in all, the base stage's among them.
        scores: Group to metric to judgement.
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
        """Every group that was scored."""
        return tuple(self.scores)

    def value(self, group: str, metric: str) -> float | None:
        """Return a group's score, or the mean over groups for `OVERALL`; None where a group has none."""
        if group == OVERALL:
            own = [self.value(name, metric) for name in self.groups]
            known = [value for value in own if value is not None]
            return fmean(known) if known and len(known) == len(own) else None
        judgement = self.scores.get(group, {}).get(metric)
        return None if judgement is None else judgement.value


@dataclass(frozen=True)
class Mean:
    """A contender's mean score over seeds, with Student's 95 % interval; of one seed there is none."""

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
    """A paired t-test of two contenders over seeds.

    Attributes:
        metric: The metric.
        group: The group, or `OVERALL`.
        reference: The contender that all others are compared with.
        other: One of them.
        difference: The mean of reference minus other, with its 95 % interval.
        p: The chance of so great a difference if there were none; None where all seeds agree to the bit.
        adjusted: The same by Holm (1979), for all tests of the metric in the group together.
        better: Which of the two is ahead.
    """

    metric: str
    group: str
    reference: str
    other: str
    difference: Mean
    p: float | None
    adjusted: float | None
    better: str


@dataclass(frozen=True)
class Point:
    """A contender's scores after as many drawings of a group.

    Attributes:
        seen: How many it has seen, the mean over seeds.
        values: A score a seed.
    """

    seen: float
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """Their mean."""
        return fmean(self.values)


def metrics(results: Iterable[Result]) -> dict[str, Judgement]:
    """Return every metric that scored anything, with its first score."""
    judgements = (own for result in results for group in result.scores.values() for own in group.items())
    first: dict[str, Judgement] = {}
    for name, judgement in judgements:
        if judgement.value is not None:
            first.setdefault(name, judgement)
    return first


def groups(results: Iterable[Result]) -> list[str]:
    """Return every group that was scored, in order, and `OVERALL`."""
    return [*dict.fromkeys(group for result in results for group in result.groups), OVERALL]


def contenders(results: Iterable[Result]) -> list[str]:
    """Return every contender, in order."""
    return list(dict.fromkeys(result.contender for result in results))


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of one value a seed, with Student's interval."""
    centre, n = fmean(values), len(values)
    if n < 2:
        return Mean(centre, None, None, n)
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * stdev(values) / math.sqrt(n)
    return Mean(centre, centre - half, centre + half, n)


def means(results: Sequence[Result], group: str, metric: str) -> dict[str, Mean]:
    """Return the mean over seeds of every contender that has a score."""
    found = {name: list(_by_seed(results, name, group, metric).values()) for name in contenders(results)}
    return {name: mean(values) for name, values in found.items() if values}


def course(results: Iterable[Result], contender: str, group: str, metric: str) -> list[Point]:
    """Return how a contender's score went, a point a step at which all seeds have one.

    One that looks at no further drawings of the group has its last point alone.
    """
    by_step: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for result in results:
        value = result.value(group, metric)
        if result.contender == contender and value is not None:
            by_step[result.step].append((result.seen.get(group, 0), value))
    seeds = max(map(len, by_step.values()), default=0)
    full = [own for _, own in sorted(by_step.items()) if len(own) == seeds]
    found = [Point(fmean(seen for seen, _ in own), tuple(value for _, value in own)) for own in full]
    return found if len({point.seen for point in found}) > 1 else found[-1:]


def mark(results: Sequence[Result], group: str, metric: str, name: Mark) -> float | None:
    """Return the score of real drawings or untranslated sources; for `OVERALL` the mean, if each group has one."""
    asked = results[0].groups if group == OVERALL else (group,)
    marks = [_mark(results[0].scores.get(one, {}).get(metric), name) for one in asked]
    values = [one.value for one in marks if one is not None]
    return fmean(values) if values and len(values) == len(marks) else None


def _mark(judgement: Judgement | None, name: Mark) -> Score | None:
    if judgement is None:
        return None
    return judgement.real_drawings if name == "real_drawings" else judgement.untranslated


def seen(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return the drawings that each contender has seen, as the head and the rows of a table."""
    columns = groups(results)[:-1]
    final = {result.contender: result for result in results if result.final}
    rows = [[name, str(r.step), *(str(r.seen.get(group, 0)) for group in columns)] for name, r in final.items()]
    return ["", "steps", *columns], rows


def best(own: Mapping[str, Mean], higher: bool) -> set[str]:
    """Return the contenders with the best mean; several where rounding makes them equal."""
    if not own:
        return set()
    figures = {name: f"{score.value:.3f}" for name, score in own.items()}
    top = (max if higher else min)(own, key=lambda name: own[name].value)
    return {name for name, figure in figures.items() if figure == figures[top]}


def tests(results: Sequence[Result], reference: str) -> list[PairedTest]:
    """Compare a contender with every other, in every metric and group, over the seeds that both have."""
    others = [name for name in contenders(results) if name != reference]
    found = []
    for metric, first in metrics(results).items():
        up = bool(first.higher_is_better)
        for group in groups(results):
            own = [_test(results, metric, group, reference, other, up) for other in others]
            found += _adjusted([test for test in own if test is not None])
    return found


def _by_seed(results: Iterable[Result], contender: str, group: str, metric: str) -> dict[int, float]:
    own = ((r.seed, r.value(group, metric)) for r in results if r.contender == contender and r.final)
    return {seed: value for seed, value in own if value is not None}


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
    """Return the two-sided p of a one-sample t-test against 0."""
    spread = stdev(gaps)
    if spread == 0:
        return None
    from scipy.stats import t

    return float(2 * t.sf(abs(fmean(gaps)) / (spread / math.sqrt(len(gaps))), len(gaps) - 1))


def _adjusted(found: Sequence[PairedTest]) -> list[PairedTest]:
    """Adjust p by Holm: the smallest counts for all tests, the next for one fewer, and none falls below an earlier."""
    order = sorted((test.p, index) for index, test in enumerate(found) if test.p is not None)
    adjusted, least = dict[int, float](), 0.0
    for rank, (p, index) in enumerate(order):
        least = adjusted[index] = max(least, min(1.0, p * (len(order) - rank)))
    return [replace(test, adjusted=adjusted.get(index)) for index, test in enumerate(found)]
