"""Checking for symptoms of failed training at every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from i2i.evaluation.diagnosis import count, diagnose
from i2i.evaluation.symptoms import SYMPTOMS, Symptom, afflicted
from i2i.hooks import hookimpl
from i2i.runs.listeners.metrics_file import write_line

if TYPE_CHECKING:
    from i2i.contracts.run_events import RunView
    from i2i.contracts.scores import Scores


class Diagnosis:
    """Writes symptom figures and the number of images per group to ``metrics.jsonl``.

    At the end of a stage it also warns about symptoms above their limit.

    Args:
        console: Receives the warnings.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @hookimpl
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Diagnose translations of held-out sources."""
        symptoms = diagnose(run.model, run.dataset)
        images = {group: count(run.dataset, group) for group in run.dataset.groups}
        write_line(run, {"stage": run.stage, "step": step, "symptoms": symptoms, "images": images})
        if step == run.steps:
            for symptom in SYMPTOMS:
                self._warn(symptom, run.stage, afflicted(symptoms, symptom))

    def _warn(self, symptom: Symptom, stage: str, groups: Mapping[str, float]) -> None:
        if groups:
            figures = ", ".join(f"{group} {figure:.2f}" for group, figure in groups.items())
            title = f"{symptom.title}: {figures}, from {symptom.limit:g} on."
            warning = f"{title} {symptom.meaning} {symptom.remedy(stage)}"
            self._console.print(warning, style="yellow", highlight=False, markup=False)
