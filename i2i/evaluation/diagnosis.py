"""Check translations of held-out images for symptoms of failed training."""

from __future__ import annotations

from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.contracts.translator import Translator
from i2i.evaluation.heldout import served, stack, undisturbed
from i2i.evaluation.symptoms import Look, figures
from i2i.images.grids import spread

COUNT = 24  # maximum images per domain and group


def diagnose(model: Translator, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return figures by group and symptom, without affecting training; groups without held-out sources are left out."""
    groups = [group for group in dataset.groups if dataset.test(group, "a")]
    with undisturbed(model.backbone):
        return {group: figures(_look(model, dataset, group)) for group in groups}


def count(dataset: Dataset, group: str) -> dict[str, int]:
    """Count a group's training and held-out images per domain, and its held-out pairs."""
    parts = {"train": dataset.train, "test": dataset.test}
    counts = {f"{name} {domain}": len(part(group, domain)) for name, part in parts.items() for domain in DOMAINS}
    return {**counts, "pairs": len(dataset.pairs(group) or ())}


def _look(model: Translator, dataset: Dataset, group: str) -> Look:
    source, real = (
        stack(spread(paths, COUNT), model.size) for paths in (dataset.test(group, "a"), dataset.train(group, "b"))
    )
    return Look(source, model.translate(source, served(model, group)), real)
