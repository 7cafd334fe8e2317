"""The progress display of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID

from i2i.contracts.run_events import RunView
from i2i.contracts.scores import Scores, overall
from i2i.hooks import hookimpl
from i2i.runs.listeners.overfitting import OverfittingGauge


class ProgressDisplay:
    """A bar with stage, losses, images per second and time left; plain lines without a terminal.

    Args:
        console: The output console.
        every: Seconds between plain lines.
        gauge: What knows of overfitting; the group where it is worst is shown.
    """

    def __init__(self, console: Console, every: float = 15.0, gauge: OverfittingGauge | None = None) -> None:
        self._console, self._every, self._gauge = console, every, gauge
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._printed = 0.0
        self._first = 0

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Announce the stage."""
        self._started, self._first, self._printed = time.monotonic(), run.step, time.monotonic()
        steps = "1 step" if run.steps == 1 else f"{run.steps} steps"
        self._console.print(f"[bold]{run.stage}[/]: {steps} of {run.samples_per_step} images a domain")
        note = getattr(run.model.backbone.discriminators["a"], "note", "")
        if note:
            self._console.print(note)
        if self._console.is_terminal:
            texts = "{task.completed:.0f}/{task.total:.0f}", "{task.fields[speed]}", "[dim]{task.fields[losses]}"
            self._bar = Progress("{task.description}", BarColumn(), *texts, console=self._console)
            self._task = self._bar.add_task(run.stage, total=run.steps, completed=run.step, speed="", losses="")
            self._bar.start()

    @hookimpl
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Move on."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, speed=self._speed(run), losses=self._losses(losses))
        elif time.monotonic() - self._printed >= self._every or step == run.steps:
            self._printed = time.monotonic()
            line = f"{run.stage} {step}/{run.steps}  {self._speed(run)}  {self._losses(losses)}"
            self._console.print(line, highlight=False)

    @hookimpl(tryfirst=True)
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Print the mean of each metric over the model's groups."""
        means = overall(scores, run.model.groups)
        if means:
            text = "  ".join(f"{name} {mean.value:.3f} {mean.arrow}" for name, mean in means.items())
            self._console.print(f"{run.stage} {step}/{run.steps}  scores: {text}", highlight=False)

    @hookimpl
    def on_train_end(self, run: RunView) -> None:
        """Put the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _losses(self, losses: Mapping[str, float]) -> str:
        figures = self._gauge.figures if self._gauge is not None else {}
        worst = max(figures, key=figures.__getitem__, default=None)
        return _brief(losses) + (f"  D overfits {worst} {figures[worst]:.2f}" if worst is not None else "")

    def _speed(self, run: RunView) -> str:
        rate = (run.step - self._first) / max(1e-9, time.monotonic() - self._started)
        left = int((run.steps - run.step) / max(1e-9, rate))
        return f"{rate * run.samples_per_step:.1f} images/s, {left // 60}:{left % 60:02d} left"


def _brief(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('generator/', 'G ').replace('discriminator/', 'D ')} {value:.3f}"
                     for name, value in losses.items())  # fmt: skip
