"""Warnings in a report: symptoms and overfitting, with affected groups and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from i2i.evaluation.overfitting import FEWEST, remedy
from i2i.evaluation.overfitting import RUNAWAY as OVERFITTING
from i2i.evaluation.symptoms import SYMPTOMS, afflicted
from i2i.report.record import Record


@dataclass(frozen=True)
class Finding:
    """A problem with the training.

    Attributes:
        title: The displayed name.
        groups: Figure by group, worst first.
        limit: The lowest figure that triggers a warning.
        when: Stage and step of the evaluation.
        meaning: What a high figure means.
        remedy: What to do.
    """

    title: str
    groups: Mapping[str, float]
    limit: float
    when: str
    meaning: str
    remedy: str


def findings(record: Record) -> list[Finding]:
    """Return the problems that the latest checks of translations and discriminators found."""
    return [*_symptoms(record), *_overfitting(record)]


def looked_for(record: Record) -> list[str]:
    """Return the titles of everything that was checked."""
    titles = [symptom.title for symptom in SYMPTOMS] if record.last(lambda line: line.symptoms) else []
    return titles + (["Overfitting"] if record.last(lambda line: line.overfitting) else [])


def _symptoms(record: Record) -> list[Finding]:
    last = record.last(lambda line: line.symptoms)
    if last is None:
        return []
    line, figures = last
    present = {symptom: groups for symptom in SYMPTOMS if (groups := afflicted(figures, symptom))}
    return [
        Finding(s.title, groups, s.limit, line.when, s.meaning, s.remedy(line.stage)) for s, groups in present.items()
    ]


def _overfitting(record: Record) -> list[Finding]:
    last, last_count = record.last(lambda line: line.overfitting), record.last(lambda line: line.images)
    if last is None:
        return []
    line, figures = last
    images = {} if last_count is None else last_count[1]
    enough = {g: figure for g, figure in figures.items() if images.get(g, {}).get("test b", FEWEST) >= FEWEST}
    worst_first = sorted(enough.items(), key=lambda item: -item[1])
    high = {group: figure for group, figure in worst_first if figure > OVERFITTING}
    if not high:
        return []
    return [
        Finding(
            "Overfitting discriminator",
            high,
            OVERFITTING,
            line.when,
            "The discriminator has memorised the training drawings: it takes held-out drawings for fakes.",
            f"Use {remedy(line.stage, record.config.augment)}, or a gradient penalty (--loss.adversarial.r1 1).",
        )
    ]
