"""What watches a run: a progress display, the metrics file, and sample grids. Each is an object with hookimpls."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID

from i2i.evaluate import Scores, show
from i2i.files import whole_file
from i2i.hookspecs import hookimpl
from i2i.images import grid, write_image
from i2i.run import METRICS_FILE, SAMPLES, Run


class ProgressDisplay:
    """A bar with stage, losses, images a second and time left; plain lines where there is no terminal.

    Args:
        console: Where to draw.
        every: Seconds between plain lines.
    """

    def __init__(self, console: Console, every: float = 15.0) -> None:
        self._console, self._every = console, every
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._printed = 0.0
        self._first = 0

    @hookimpl
    def on_train_start(self, run: Run) -> None:
        """Announce the stage."""
        self._started, self._first, self._printed = time.monotonic(), run.step, time.monotonic()
        self._console.print(f"[bold]{run.stage}[/]: {run.steps} steps of {run.samples_per_step} images a domain")
        note = getattr(run.model.backbone.discriminators["a"], "note", "")
        if note:
            self._console.print(note)
        if self._console.is_terminal:
            texts = "{task.completed:.0f}/{task.total:.0f}", "{task.fields[speed]}", "[dim]{task.fields[losses]}"
            self._bar = Progress("{task.description}", BarColumn(), *texts, console=self._console)
            self._task = self._bar.add_task(run.stage, total=run.steps, completed=run.step, speed="", losses="")
            self._bar.start()

    @hookimpl
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Move on."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, speed=self._speed(run), losses=_brief(losses))
        elif time.monotonic() - self._printed >= self._every or step == run.steps:
            self._printed = time.monotonic()
            line = f"{run.stage} {step}/{run.steps}  {self._speed(run)}  {_brief(losses)}"
            self._console.print(line, highlight=False)

    @hookimpl
    def on_train_end(self, run: Run) -> None:
        """Put the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _speed(self, run: Run) -> str:
        rate = (run.step - self._first) / max(1e-9, time.monotonic() - self._started)
        left = int((run.steps - run.step) / max(1e-9, rate))
        return f"{rate * run.samples_per_step:.1f} images/s, {left // 60}:{left % 60:02d} left"


class MetricsFile:
    """``metrics.jsonl``: a line a step with its losses, and a line an evaluation with its scores."""

    @hookimpl
    def on_train_start(self, run: Run) -> None:
        """Drop what a stopped run wrote after its last saved state."""
        path = run.folder / METRICS_FILE
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]  # a kill can cut the last one
        kept = [line for line in lines if not _after(json.loads(line), run)]
        with whole_file(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    @hookimpl
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Add a line of losses."""
        _append(run, {"stage": run.stage, "step": step, "losses": dict(losses)})

    @hookimpl
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Add a line of scores."""
        plain = {group: {name: asdict(score) for name, score in own.items()} for group, own in scores.items()}
        _append(run, {"stage": run.stage, "step": step, "scores": plain})


class SampleGrids:
    """A grid of held-out translations every ``sample_every`` steps, and one of the finished model beside the base."""

    @hookimpl
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Draw a grid when it is time."""
        if step % run.config.sample_every == 0 or step == run.steps:
            with run.averaged():
                blocks = show({"translation": run.model}, run.dataset)
            write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}-{step:06d}.png")

    @hookimpl
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Draw the final grid."""
        models = {"base model": run.base_model(), "translation": run.model} if run.stage == "transfer" else None
        blocks = show(models or {"translation": run.model}, run.dataset)
        write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}.png")


def _brief(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('generator/', 'G ').replace('discriminator/', 'D ')} {value:.3f}"
                     for name, value in losses.items())  # fmt: skip


def _after(entry: Mapping[str, Any], run: Run) -> bool:
    return entry["stage"] == run.stage and ("scores" in entry or entry["step"] > run.step)


def _append(run: Run, entry: Mapping[str, Any]) -> None:
    with (run.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
