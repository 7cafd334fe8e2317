"""Who wins where in a bench, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i2i.bench.statistics import OVERALL, PairedTest, Result, best, groups, means, metrics

SURE = 0.05
"""The largest p, after Holm's correction, of a difference that is not taken for chance."""


@dataclass(frozen=True)
class Verdict:
    """Who wins where with one backbone.

    Attributes:
        backbone: The backbone.
        sentences: Who is best over all groups, and what the tests say of the reference.
        heads: The columns: the metric, all groups together, and each group.
        rows: One per metric: who is best, and how sure that is.
    """

    backbone: str
    sentences: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def verdict(backbone: str, results: Sequence[Result], tests: Sequence[PairedTest]) -> Verdict:
    """Compare the contenders of a bench with one backbone.

    Args:
        backbone: The backbone.
        results: The scored models.
        tests: The paired tests of the reference against the others; none for a single seed.
    """
    reference = tests[0].reference if tests else ""
    winners = {metric: _winners(results, metric) for metric in metrics(results)}
    columns = [OVERALL, *groups(results)[:-1]]
    rows = [
        [metric, *(_cell(winners[metric][g], _of(tests, metric, g), reference) for g in columns)] for metric in winners
    ]
    sentences = [_best({metric: by_group[OVERALL] for metric, by_group in winners.items()}), _tested(tests, reference)]
    return Verdict(backbone, [one for one in sentences if one], ["", "all groups", *columns[1:]], rows)


def _winners(results: Sequence[Result], metric: str) -> dict[str, list[str]]:
    """Return by group the contenders with the best mean."""
    up = bool(metrics(results)[metric].higher_is_better)
    scores = {group: means(results, group, metric) for group in groups(results)}
    return {group: [name for name in by_name if name in best(by_name, up)] for group, by_name in scores.items()}


def _of(tests: Sequence[PairedTest], metric: str, group: str) -> list[PairedTest]:
    return [test for test in tests if (test.metric, test.group) == (metric, group)]


def _cell(winners: Sequence[str], tests: Sequence[PairedTest], reference: str) -> str:
    names = ", ".join(winners)
    beaten = [test for test in tests if _is_sure(test) and test.better in winners]
    if not winners or not tests:
        return names
    if not beaten:
        return f"{names}: may be chance"
    return f"{names}: sure against {f'{len(beaten)} of {len(tests)}' if reference in winners else reference}"


def _best(winners: dict[str, list[str]]) -> str:
    """Return the contenders that are best over all groups, the most successful first."""
    metrics_of: dict[str, list[str]] = {}
    for metric, names in winners.items():
        if names:
            metrics_of.setdefault(" and ".join(names), []).append(metric)
    order = sorted(metrics_of, key=lambda name: -len(metrics_of[name]))
    clauses = [f"{name} {'are' if ' and ' in name else 'is'} best by {_listed(metrics_of[name])}" for name in order]
    return f"Over all groups, {'; '.join(clauses)}." if clauses else ""


def _tested(tests: Sequence[PairedTest], reference: str) -> str:
    if not tests:
        return "One seed alone cannot show what is chance."
    sure = [test for test in tests if _is_sure(test)]
    won = sum(test.better == reference for test in sure)
    lost, rest = len(sure) - won, len(tests) - len(sure)
    compared = f"Compared with the others, metric by metric and group by group ({len(tests)} times)"
    return f"{compared}, {reference} is surely better {won} times and surely worse {lost} times; {rest} may be chance."


def _is_sure(test: PairedTest) -> bool:
    return test.adjusted is not None and test.adjusted < SURE


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
