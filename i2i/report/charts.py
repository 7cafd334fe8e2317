"""Charts of a page: static SVG curves, plus values that a script shows on hover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from i2i.contracts.scores import Scores
from i2i.report.record import Record

POINTS = 160  # maximum per curve: more would be invisible and enlarge the page
HIGHEST = 1e300  # that is drawn, so that sums and differences stay finite
SIDE = 1000  # of the square containing a curve; the page stretches it


@dataclass(frozen=True)
class Series:
    """A curve of a chart: values at ascending positions."""

    name: str
    at: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Curves sharing a horizontal axis.

    Attributes:
        title: The quantity.
        series: The curves, with at least one value in total.
        axis: The label of the horizontal axis.
        note: A remark for the reader.
        zero: Whether the chart always extends down to 0.
    """

    title: str
    series: Sequence[Series]
    axis: str = "step"
    note: str = ""
    zero: bool = True

    @property
    def low(self) -> float:
        """The value at the bottom."""
        return min([0.0] * self.zero + [value for one in self.series for value in one.values])

    @property
    def high(self) -> float:
        """The value at the top, always greater than ``low``."""
        least = self.low + max(1e-9, 1e-9 * abs(self.low))
        return max(least, *(value for one in self.series for value in one.values))

    @property
    def ends(self) -> tuple[float, float]:
        """The leftmost and rightmost positions."""
        places = [place for one in self.series for place in one.at]
        return min(places), max(places)

    def points(self, series: Series) -> str:
        """Return a curve as SVG polyline points in a square of ``SIDE``; a single value is a line of no length."""
        left, right = self.ends
        heights = [SIDE * (self.high - value) / (self.high - self.low) for value in series.values]
        across = [SIDE * (place - left) / max(1e-9, right - left) for place in series.at]
        points = [f"{x:.0f},{y:.0f}" for x, y in zip(across, heights, strict=True)]
        return " ".join(points * 2 if len(points) == 1 else points)

    @property
    def has_curve(self) -> bool:
        """Whether any of its curves has more than one value; otherwise there is nothing to draw."""
        return any(len(one.at) > 1 for one in self.series)

    def content(self) -> dict[str, object]:
        """Return the values for the page's script as JSON-serialisable objects."""
        series = [
            {"name": one.name, "at": list(one.at), "values": [float(f"{value:.4g}") for value in one.values]}
            for one in self.series
        ]
        return {"axis": self.axis, "low": self.low, "high": self.high, "ends": self.ends, "series": series}


def loss_charts(record: Record, stage: str) -> list[Chart]:
    """Return one chart per loss of a stage, with separate curves for generator and discriminator; none of one step."""
    curves = _curves(record.of(stage, lambda line: line.losses))
    terms: dict[str, list[Series]] = {}
    for name, series in curves.items():
        side, _, term = name.rpartition("/")
        terms.setdefault(term, []).append(Series(side or term, series.at, series.values))
    return [chart for term, series in terms.items() if (chart := Chart(term, series)).has_curve]


def gauge_charts(record: Record, stage: str) -> list[Chart]:
    """Return charts of discriminator overfitting and augmentation probability, one curve per group."""
    overfitting = record.of(stage, lambda line: line.overfitting)
    augmentation = record.of(stage, lambda line: line.augmentation)
    gauges = {"overfitting of discriminators": overfitting, "probability of augmentation": augmentation}
    curves = {title: list(_curves(points).values()) for title, points in gauges.items()}
    return [chart for title, series in curves.items() if (chart := Chart(title, series)).has_curve]


def score_charts(record: Record, stage: str) -> list[Chart]:
    """Return one chart per metric with one curve per group; none if the stage was evaluated only once.

    Groups scored only once, such as those missing from a base model, are left out.
    """
    evaluations = record.of(stage, lambda line: line.scores)
    if len(evaluations) < 2:
        return []
    metrics = dict.fromkeys(name for _, scores in evaluations for by_metric in scores.values() for name in by_metric)
    drawn = {metric: _curves([(step, _values(scores, metric)) for step, scores in evaluations]) for metric in metrics}
    several = {metric: [one for one in curves.values() if len(one.at) > 1] for metric, curves in drawn.items()}
    return [Chart(metric, curves, zero=False) for metric, curves in several.items() if curves]


def thinned(series: Series, count: int = POINTS) -> Series:
    """Reduce a curve to at most ``count`` points, each the mean of the values since the previous point."""
    chunk = -(-len(series.values) // count)
    starts = range(0, len(series.values), chunk)
    means = [fmean(series.values[start : start + chunk]) for start in starts]
    return Series(series.name, [series.at[start : start + chunk][-1] for start in starts], means)


def _curves(points: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, Series]:
    """Turn steps with named values into one curve per name."""
    names = dict.fromkeys(name for _, values in points for name in values)
    curves = {}
    for name in names:
        pairs = [(step, max(-HIGHEST, min(values[name], HIGHEST))) for step, values in points if name in values]
        curves[name] = thinned(Series(name, [step for step, _ in pairs], [value for _, value in pairs]))
    return curves


def _values(scores: Scores, metric: str) -> dict[str, float]:
    values = {group: by_metric[metric].value for group, by_metric in scores.items() if metric in by_metric}
    return {group: value for group, value in values.items() if value is not None}
