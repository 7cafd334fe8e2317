"""The first sentence of a report: how far a run is, how good its translations are, and whether there are warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from i2i.evaluation.best import DECIDERS
from i2i.report.dot_plots import OVERALL, Dot, DotPlot
from i2i.report.findings import Finding


def verdict(status: str, plots: Sequence[DotPlot], found: Sequence[Finding], looked: bool) -> str:
    """Return one sentence on a run.

    Args:
        status: Whether it is finished, or its progress.
        plots: The scores of the last evaluation.
        found: The warnings.
        looked: Whether translations have been checked for faults.
    """
    done, _, progress = status.partition(": ")
    state = f"{done.capitalize()} ({progress})" if progress else done.capitalize()
    warnings = [f"{len(found) or 'no'} warning{'s' * (len(found) != 1)}"] if looked or found else []
    scores = _scores(plots) or "no scores that compare translations with real drawings"
    return f"{state}: {'; '.join([scores, *warnings])}."


def _scores(plots: Sequence[DotPlot]) -> str:
    """Judge by the metric that chooses the best model, if it can tell, and otherwise by the first that can."""
    ways = {plot.metric: ways for plot in plots if (ways := _ways(plot.dots))}
    metric = next((name for name in (*DECIDERS, *ways) if name in ways), None)
    if metric is None:
        return ""
    dots = next(plot for plot in plots if plot.metric == metric).dots
    return f"by {metric}, {_distance(ways[metric])}{_gain(dots, ways[metric])}"


def _ways(dots: Sequence[Dot]) -> dict[str, float]:
    """Return by group the share of the way from untranslated sources (0) to real drawings (1); {} if unknown."""
    known = {dot.name: way for dot in dots if dot.name != OVERALL and (way := _way(dot, dot.value)) is not None}
    return known if len(known) == sum(dot.name != OVERALL for dot in dots) else {}


def _way(dot: Dot, value: float) -> float | None:
    if dot.real_drawings is None or dot.untranslated is None or dot.real_drawings == dot.untranslated:
        return None
    return (dot.untranslated - value) / (dot.untranslated - dot.real_drawings)


def _distance(ways: Mapping[str, float]) -> str:
    mean, low, high = fmean(ways.values()), min(ways, key=ways.__getitem__), max(ways, key=ways.__getitem__)
    if mean <= 0:
        return "translations are no closer to real drawings than the untranslated sources"
    spread = f", from {ways[low]:.0%} for {low} to {ways[high]:.0%} for {high}" if low != high else ""
    return f"translations are {mean:.0%} of the way from the untranslated sources to real drawings{spread}"


def _gain(dots: Sequence[Dot], ways: Mapping[str, float]) -> str:
    """Return for how many groups the model is better than the base model; empty without one."""
    before = {dot.name: _way(dot, dot.before) for dot in dots if dot.name in ways and dot.before is not None}
    better = sum(ways[name] > way for name, way in before.items() if way is not None)
    return f", and better than the base model's for {better} of {len(before)} groups" if before else ""
