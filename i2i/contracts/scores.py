"""The scores of an evaluation: one judgement per group and metric, and their mean over groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from i2i.config.options import GroupName
from i2i.contracts.metric import Score

_FORMER_KEYS = {"floor": "real_drawings", "ceiling": "untranslated"}
"""Keys in files of i2i 0.1.0, and their current names."""


@dataclass(frozen=True)
class Judgement:
    """A score with its 95 % interval, measurement and reference scores; or the reason for its absence.

    Attributes:
        value: The score; None if there is none.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of translations.
        network: The feature network; empty without one.
        resize: How images were resized beforehand; empty if they were not.
        split: The images that were scored.
        higher_is_better: Whether higher values are better; None if a file does not record it.
        real_drawings: The score of real drawings; scoring better than this means nothing.
        untranslated: The score of the untranslated sources.
        note: Why there is no value, or a caveat; may be empty.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    network: str = ""
    resize: str = ""
    split: str = ""
    higher_is_better: bool | None = False
    real_drawings: Score | None = None
    untranslated: Score | None = None
    note: str = ""

    @property
    def score(self) -> Score | None:
        """Value, interval and n; None without a value."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return Score(self.value, self.low, self.high, self.n)

    @property
    def arrow(self) -> str:
        """An arrow pointing up or down, to better values."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def measured(self) -> str:
        """Network, resizing and split, where they apply."""
        return "; ".join(filter(None, (self.network, self.resize, self.split)))

    def beats(self, value: float | None) -> bool:
        """Return whether it is better than another value of the metric; any value is better than none."""
        if self.value is None or value is None:
            return self.value is not None
        return self.value > value if self.higher_is_better else self.value < value


Scores = dict[str, dict[str, Judgement]]
"""Group to metric to judgement."""


def name_of_part(metric: str, part: str) -> str:
    """Return the name that scores have for a part of a metric: ``attributes.skin``."""
    return f"{metric}.{part}"


def metric_of(name: str) -> str:
    """Return the metric of a score's name, also of a part's (see `name_of_part`)."""
    return name.partition(".")[0]


def _without_nulls(content: object) -> object:
    """Drop nulls from a judgement's JSON, and rename old keys."""
    if not isinstance(content, dict):
        return content
    values = {_FORMER_KEYS.get(name, name): value for name, value in content.items() if value is not None}
    return {"higher_is_better": None, **values}


StoredJudgement = Annotated[Judgement, BeforeValidator(_without_nulls)]
"""A judgement that pydantic can read back from the output of `plain_judgement`."""

StoredScores = dict[GroupName, dict[str, StoredJudgement]]
"""Scores that pydantic can read back from the output of `plain`."""


def plain(scores: Mapping[str, Mapping[str, Judgement]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return scores in JSON types: every field of each judgement by name, empty ones as None."""
    return {
        group: {name: plain_judgement(one) for name, one in judgements.items()} for group, judgements in scores.items()
    }


def plain_judgement(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement in JSON types."""
    return {name: None if value == "" else value for name, value in asdict(judgement).items()}


def overall(scores: Mapping[str, Mapping[str, Judgement]], groups: Iterable[str] | None = None) -> dict[str, Judgement]:
    """Return each metric's mean over groups, all weighted equally, however many images they have.

    The interval follows from those of the groups, which are independent: its distances from the mean are the groups'
    distances, added in squares and divided by the number of groups (Zou & Donner 2008, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, eq. 4). It needs an interval for every group.

    Args:
        scores: The scores of an evaluation.
        groups: The groups to average; by default all.

    Returns:
        Metric to judgement. n is the sum over groups; the note names groups left out and groups without an interval,
        which leave the mean without one. Metrics without any value are left out.
    """
    chosen = [group for group in scores if groups is None or group in set(groups)]
    names = dict.fromkeys(name for group in chosen for name in scores[group])
    means = {name: _mean({group: scores[group][name] for group in chosen if name in scores[group]}) for name in names}
    return {name: judgement for name, judgement in means.items() if judgement is not None}


def _mean(judgements: Mapping[str, Judgement]) -> Judgement | None:
    known = {group: score for group, one in judgements.items() if (score := one.score) is not None}
    if not known:
        return None
    scored = [judgements[group] for group in known]
    mean = _macro(list(known.values()))
    return Judgement(
        mean.value,
        mean.low,
        mean.high,
        mean.n,
        scored[0].network,
        scored[0].resize,
        "; ".join(dict.fromkeys(one.split for one in scored)),
        scored[0].higher_is_better,
        _macro([one.real_drawings for one in scored]),
        _macro([one.untranslated for one in scored]),
        _caveats([group for group in judgements if group not in known], known),
    )


def _macro(scores: Sequence[Score | None]) -> Any:
    """Return the mean of scores, with an interval if all have one; None if a score is missing."""
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    value = sum(score.value for score in known) / len(known)
    if not all(score.has_interval for score in known):
        return Score(value, value, value, sum(score.n for score in known))
    below = math.hypot(*(score.value - score.low for score in known)) / len(known)
    above = math.hypot(*(score.high - score.value for score in known)) / len(known)
    return Score(value, value - below, value + above, sum(score.n for score in known))


def _caveats(missing: Sequence[str], known: Mapping[str, Score]) -> str:
    bare = [group for group, score in known.items() if not score.has_interval]
    caveats = [f"without {', '.join(missing)}"] if missing else []
    return "; ".join(caveats + ([f"no interval: none for {', '.join(bare)}"] if bare else []))
