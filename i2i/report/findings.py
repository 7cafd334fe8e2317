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
    titles = [symptom.title for symptom in SYMPTOMS] if record.last("symptoms") else []
    return titles + (["Overfitting"] if record.last("overfitting") else [])


def _symptoms(record: Record) -> list[Finding]:
    line = record.last("symptoms")
    if line is None:
        return []
    stage, when = line["stage"], f"{line['stage']}, step {line['step']}"
    found = {symptom: groups for symptom in SYMPTOMS if (groups := afflicted(line["symptoms"], symptom))}
    return [Finding(s.title, groups, s.limit, when, s.meaning, s.remedy(stage)) for s, groups in found.items()]


def _overfitting(record: Record) -> list[Finding]:
    line = record.last("overfitting")
    images = (record.last("images") or {}).get("images", {})
    if line is None:
        return []
    enough = {
        g: figure for g, figure in line["overfitting"].items() if images.get(g, {}).get("test b", FEWEST) >= FEWEST
    }
    high = {
        group: figure for group, figure in sorted(enough.items(), key=lambda item: -item[1]) if figure > OVERFITTING
    }
    if not high:
        return []
    return [
        Finding(
            "Overfitting discriminator",
            high,
            OVERFITTING,
            f"{line['stage']}, step {line['step']}",
            "The discriminator knows the training drawings by heart: held-out drawings are judged like fakes.",
            f"Use {remedy(line['stage'], record.config.augment)}, or a gradient penalty (--loss.adversarial.r1 1).",
        )
    ]
