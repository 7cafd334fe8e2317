"""What a report warns of: symptoms and overfitting, with the groups that have them, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from i2i.evaluation.overfitting import FEWEST, remedy
from i2i.evaluation.overfitting import RUNAWAY as OVERFITTING
from i2i.evaluation.symptoms import SYMPTOMS, afflicted
from i2i.report.record import Record


@dataclass(frozen=True)
class Finding:
    """Something that went wrong.

    Attributes:
        title: What a person calls it.
        groups: Group to figure, worst first.
        limit: The figure from which on it is warned of.
        when: Stage and step of what was looked at.
        meaning: What the figure says.
        remedy: What helps.
    """

    title: str
    groups: Mapping[str, float]
    limit: float
    when: str
    meaning: str
    remedy: str


def findings(record: Record) -> list[Finding]:
    """Return what the last look at the translations, and at the discriminators, has found."""
    return [*_symptoms(record), *_overfitting(record)]


def looked_for(record: Record) -> list[str]:
    """Return the titles of everything that was looked for at all."""
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
    last, counted = record.last(lambda line: line.overfitting), record.last(lambda line: line.images)
    if last is None:
        return []
    line, figures = last
    images = {} if counted is None else counted[1]
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
            "The discriminator knows the training drawings by heart: held-out drawings are judged like fakes.",
            f"Use {remedy(line.stage, record.config.augment)}, or a gradient penalty (--loss.adversarial.r1 1).",
        )
    ]
