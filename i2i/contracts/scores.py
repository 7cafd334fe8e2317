"""What an evaluation finds: a judgement of each group by each metric, and their mean over groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from i2i.contracts.metric import Score


@dataclass(frozen=True)
class Judgement:
    """A score with its 95 % interval, what it was measured by, and what it may be held against; or why there is none.

    Attributes:
        value: The score; None where there is none.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: How many translations it is of.
        network: What saw the images; empty where no network did.
        resize: What was done to their size first; empty where nothing was.
        split: Which images it is of.
        higher_is_better: Which way is up; None where a file does not say.
        floor: What real drawings in place of the translations score: as good as drawings of the target are.
        ceiling: What untranslated sources score: as good as doing nothing.
        note: Why there is no value, or what to keep in mind about it; empty where there is nothing to say.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    network: str = ""
    resize: str = ""
    split: str = ""
    higher_is_better: bool | None = False
    floor: Score | None = None
    ceiling: Score | None = None
    note: str = ""

    @property
    def score(self) -> Score | None:
        """The score without the rest."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return Score(self.value, self.low, self.high, self.n)

    @property
    def arrow(self) -> str:
        """Which way is up."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def measured(self) -> str:
        """By which network, at which size, and of which images, as far as it applies."""
        return "; ".join(filter(None, (self.network, self.resize, self.split)))

    def beats(self, value: float | None) -> bool:
        """Say whether it is better than another value of the same metric; any value is better than none."""
        if self.value is None or value is None:
            return self.value is not None
        return self.value > value if self.higher_is_better else self.value < value


Scores = dict[str, dict[str, Judgement]]
"""Group to metric to judgement."""


def _given(content: object) -> object:
    """Leave out of a judgement as JSON holds it what is None."""
    if not isinstance(content, dict):
        return content
    return {"higher_is_better": None, **{name: value for name, value in content.items() if value is not None}}


StoredJudgement = Annotated[Judgement, BeforeValidator(_given)]
"""A judgement that pydantic reads back from what `plain_judgement` wrote."""

StoredScores = dict[str, dict[str, StoredJudgement]]
"""Scores that pydantic reads back from what `plain` wrote."""


def plain(scores: Mapping[str, Mapping[str, Judgement]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return scores as JSON can hold them: every field of a judgement by its name, what is empty as None."""
    return {group: {name: plain_judgement(one) for name, one in own.items()} for group, own in scores.items()}


def plain_judgement(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as JSON can hold it."""
    return {name: None if value == "" else value for name, value in asdict(judgement).items()}


def overall(scores: Mapping[str, Mapping[str, Judgement]], groups: Iterable[str] | None = None) -> dict[str, Judgement]:
    """Return the mean over groups of every metric: each group counts alike, however many images it has.

    The interval is had from those of the groups, which are independent of one another: the distances of the mean to its
    ends are the groups' own distances, added in squares and divided by their number (Zou & Donner 2008, "Construction
    of confidence limits about effect measures", Statistics in Medicine 27, eq. 4). It needs one of every group.

    Args:
        scores: What an evaluation found.
        groups: Which groups to take; by default all.

    Returns:
        Metric to judgement, whose n is that of all groups together; its note names groups that are left out, and those
        whose missing interval leaves the mean without one. Metrics without any value are left out.
    """
    taken = [group for group in scores if groups is None or group in set(groups)]
    names = dict.fromkeys(name for group in taken for name in scores[group])
    found = {name: _mean({group: scores[group][name] for group in taken if name in scores[group]}) for name in names}
    return {name: judgement for name, judgement in found.items() if judgement is not None}


def _mean(judgements: Mapping[str, Judgement]) -> Judgement | None:
    known = {group: score for group, one in judgements.items() if (score := one.score) is not None}
    if not known:
        return None
    judged = [judgements[group] for group in known]
    mean = _macro(list(known.values()))
    return Judgement(
        mean.value,
        mean.low,
        mean.high,
        mean.n,
        judged[0].network,
        judged[0].resize,
        "; ".join(dict.fromkeys(one.split for one in judged)),
        judged[0].higher_is_better,
        _macro([one.floor for one in judged]),
        _macro([one.ceiling for one in judged]),
        _caveats([group for group in judgements if group not in known], known),
    )


def _macro(scores: Sequence[Score | None]) -> Any:
    """Return the mean of scores, with an interval where each has one; None where a score is missing."""
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
    told = [f"without {', '.join(missing)}"] if missing else []
    return "; ".join(told + ([f"no interval, for want of that of {', '.join(bare)}"] if bare else []))
