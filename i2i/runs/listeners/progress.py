"""The progress display of a run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import accumulate, takewhile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID

from i2i.compute.units import clock
from i2i.contracts.run_events import RunView
from i2i.contracts.scores import Judgement, Scores, overall
from i2i.hooks import hookimpl
from i2i.runs.listeners.overfitting import OverfittingGauge

FIXED = 75
"""Columns for stage, bar, step, speed and time left; losses get what the terminal has beyond."""
GAP = "  "


class ProgressDisplay:
    """A bar with stage, step, speed, time left, and as many losses as fit; plain lines without a terminal.

    Args:
        console: The output console.
        every: Seconds between plain lines.
        gauge: What knows of overfitting; the group where it is worst is shown.
        details: Print a line of all losses also at a terminal, the scores of every group, and the files saved.
    """

    def __init__(
        self, console: Console, every: float = 15.0, gauge: OverfittingGauge | None = None, details: bool = False
    ) -> None:
        self._console, self._every, self._gauge, self._details = console, every, gauge, details
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._printed = 0.0
        self._first = 0
        self._noted: set[str] = set()

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Announce the stage."""
        self._started, self._first, self._printed = time.monotonic(), run.step, time.monotonic()
        steps = "1 step" if run.steps == 1 else f"{run.steps} steps"
        self._console.print(f"[bold]{run.stage}[/]: {steps} of {run.samples_per_step} images per domain")
        self._note(getattr(run.model.backbone.discriminators["a"], "note", ""))
        if self._console.is_terminal and not self._console.quiet:
            texts = "{task.completed:.0f}/{task.total:.0f}", "{task.fields[speed]}", "[dim]{task.fields[losses]}"
            self._bar = Progress("{task.description}", BarColumn(None), *texts, console=self._console, expand=True)
            self._task = self._bar.add_task(run.stage, total=run.steps, completed=run.step, speed="", losses="")
            self._bar.start()

    @hookimpl
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Move on."""
        if self._bar is not None and self._task is not None:
            fitting = GAP.join(_fitting(self._losses(losses), self._console.width - FIXED))
            self._bar.update(self._task, completed=step, speed=self._speed(run), losses=fitting)
        if (self._bar is None or self._details) and self._is_time(run, step):
            self._printed = time.monotonic()
            line = f"{run.stage} {step}/{run.steps}", self._speed(run), *self._losses(losses)
            self._console.print(GAP.join(line), highlight=False)

    @hookimpl(tryfirst=True)
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Print the mean of each metric over the model's groups."""
        lines = {"scores": overall(scores, run.model.groups), **(scores if self._details else {})}
        for name, judgements in lines.items():
            figures = [_figure(metric, one.value, one) for metric, one in judgements.items() if one.value is not None]
            if figures:
                self._console.print(f"{run.stage} {step}/{run.steps}  {name}: {GAP.join(figures)}", highlight=False)

    @hookimpl
    def on_checkpoint(self, run: RunView, path: Path) -> None:
        """Print what was saved, if details are asked for."""
        if self._details:
            self._console.print(f"{run.stage} {run.step}/{run.steps}  saved {path}", highlight=False, markup=False)

    @hookimpl
    def on_train_end(self, run: RunView) -> None:
        """Put the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _note(self, note: str) -> None:
        """Print a note, once for all stages."""
        if note and note not in self._noted:
            self._noted.add(note)
            self._console.print(note)

    def _is_time(self, run: RunView, step: int) -> bool:
        return time.monotonic() - self._printed >= self._every or step == run.steps

    def _losses(self, losses: Mapping[str, float]) -> list[str]:
        figures = self._gauge.figures if self._gauge is not None else {}
        worst = max(figures, key=figures.__getitem__, default=None)
        return [*_brief(losses), *([f"D overfits {worst} {figures[worst]:.2f}"] if worst is not None else [])]

    def _speed(self, run: RunView) -> str:
        rate = (run.step - self._first) / max(1e-9, time.monotonic() - self._started)
        return f"{rate * run.samples_per_step:.1f} images/s, {clock((run.steps - run.step) / max(1e-9, rate))} left"


def _brief(losses: Mapping[str, float]) -> Iterable[str]:
    shortened = {name.replace("generator/", "G ").replace("discriminator/", "D "): one for name, one in losses.items()}
    return (f"{name} {value:.3f}" for name, value in shortened.items())


def _figure(metric: str, value: float | None, judgement: Judgement) -> str:
    return f"{metric} {value:.3f} {judgement.arrow}"


def _fitting(texts: list[str], width: int) -> list[str]:
    """Return the first texts that fit into a width, with gaps between them."""
    ends = accumulate(len(text) + len(GAP) for text in texts)
    return [text for text, _ in takewhile(lambda pair: pair[1] <= width, zip(texts, ends, strict=True))]
