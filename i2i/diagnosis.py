"""Looking for symptoms of training gone wrong whenever a run is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from i2i.dataset import Dataset
from i2i.heldout import served, spread, stack, undisturbed
from i2i.hookspecs import hookimpl
from i2i.images import DOMAINS
from i2i.listeners import write_line
from i2i.model import Model
from i2i.symptoms import SYMPTOMS, Look, Symptom, afflicted, figures

if TYPE_CHECKING:
    from i2i.run import Run
    from i2i.scores import Scores

COUNT = 24  # images of each kind and group that are looked at


class Diagnosis:
    """Writes the figures of symptoms, and how many images each group has, into ``metrics.jsonl``.

    At the end of a stage it also warns of those that have reached their limit.

    Args:
        console: Where to warn.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @hookimpl
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Look at translations of held-out sources."""
        found = diagnose(run.model, run.dataset)
        images = {group: count(run.dataset, group) for group in run.dataset.groups}
        write_line(run, {"stage": run.stage, "step": step, "symptoms": found, "images": images})
        if step == run.steps:
            for symptom in SYMPTOMS:
                self._warn(symptom, run.stage, afflicted(found, symptom))

    def _warn(self, symptom: Symptom, stage: str, groups: Mapping[str, float]) -> None:
        if groups:
            told = ", ".join(f"{group} {figure:.2f}" for group, figure in groups.items())
            about = f"{symptom.title}: {told}, from {symptom.limit:g} on. {symptom.meaning} {symptom.remedy(stage)}"
            self._console.print(about, style="yellow", highlight=False, markup=False)


def diagnose(model: Model, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return group to symptom to figure; groups without held-out sources are left out, training is left undisturbed."""
    groups = [group for group in dataset.groups if dataset.test(group, "a")]
    with undisturbed(model.backbone):
        return {group: figures(_look(model, dataset, group)) for group in groups}


def count(dataset: Dataset, group: str) -> dict[str, int]:
    """Return how many images a group has to learn from and held out, by domain, and how many held-out pairs."""
    parts = {"train": dataset.train, "test": dataset.test}
    counts = {f"{name} {domain}": len(part(group, domain)) for name, part in parts.items() for domain in DOMAINS}
    return {**counts, "pairs": len(dataset.pairs(group) or ())}


def _look(model: Model, dataset: Dataset, group: str) -> Look:
    source, real = (
        stack(spread(paths, COUNT), model.size) for paths in (dataset.test(group, "a"), dataset.train(group, "b"))
    )
    return Look(source, model.translate(source, served(model, group)), real)
