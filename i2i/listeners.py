"""What watches a run: a progress display, the metrics file, sample grids, and the gauge of overfitting.

Each is an object with hookimpls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID

from i2i.files import write_text
from i2i.folder import METRICS_FILE, SAMPLES
from i2i.heldout import show
from i2i.hookspecs import hookimpl
from i2i.images import grid, write_image
from i2i.overfitting import FEWEST, RUNAWAY, overfitting, remedy
from i2i.run import Run
from i2i.scores import Scores, overall, plain


class OverfittingGauge:
    """Measures every ``sample_every`` steps how far discriminators have learned drawings by heart.

    The figures, and the probabilities of adaptive augmentation, go into ``metrics.jsonl``. Each group whose figure runs
    away is warned of once a stage.

    Args:
        console: Where to warn.

    Attributes:
        figures: Group to figure, as `i2i.overfitting.overfitting` last measured it.
    """

    def __init__(self, console: Console) -> None:
        self.figures: dict[str, float] = {}
        self._console = console
        self._warned: set[str] = set()

    @hookimpl
    def on_train_start(self, run: Run) -> None:
        """Forget the last stage."""
        self.figures, self._warned = {}, set()

    @hookimpl(tryfirst=True)
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Measure when it is time; before the display shows the figures."""
        if not _time_for_samples(run, step):
            return
        self.figures = overfitting(run.model, run.dataset)
        measured = {"overfitting": self.figures, "augmentation": run.model.backbone.augmentation.chances}
        if any(measured.values()):
            write_line(run, {"stage": run.stage, "step": step, **measured})
        for group in self._running_away(run):
            self._warned.add(group)
            self._console.print(_warning(run, group, self.figures[group]), style="yellow", highlight=False)

    def _running_away(self, run: Run) -> list[str]:
        high = [group for group, figure in self.figures.items() if figure > RUNAWAY and group not in self._warned]
        return [group for group in high if len(run.dataset.test(group, "b")) >= FEWEST]


class ProgressDisplay:
    """A bar with stage, losses, images a second and time left; plain lines where there is no terminal.

    Args:
        console: Where to draw.
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
    def on_train_start(self, run: Run) -> None:
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
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Move on."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, speed=self._speed(run), losses=self._losses(losses))
        elif time.monotonic() - self._printed >= self._every or step == run.steps:
            self._printed = time.monotonic()
            line = f"{run.stage} {step}/{run.steps}  {self._speed(run)}  {self._losses(losses)}"
            self._console.print(line, highlight=False)

    @hookimpl(tryfirst=True)
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Print the mean of each metric over the model's groups."""
        means = overall(scores, run.model.groups)
        if means:
            told = "  ".join(f"{name} {mean.value:.3f} {mean.arrow}" for name, mean in means.items())
            self._console.print(f"{run.stage} {step}/{run.steps}  scores: {told}", highlight=False)

    @hookimpl
    def on_train_end(self, run: Run) -> None:
        """Put the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _losses(self, losses: Mapping[str, float]) -> str:
        figures = self._gauge.figures if self._gauge is not None else {}
        worst = max(figures, key=figures.__getitem__, default=None)
        return _brief(losses) + (f"  D overfits {worst} {figures[worst]:.2f}" if worst is not None else "")

    def _speed(self, run: Run) -> str:
        rate = (run.step - self._first) / max(1e-9, time.monotonic() - self._started)
        left = int((run.steps - run.step) / max(1e-9, rate))
        return f"{rate * run.samples_per_step:.1f} images/s, {left // 60}:{left % 60:02d} left"


class MetricsFile:
    """``metrics.jsonl``: a line a step with losses, images seen and seconds; and a line an evaluation with scores."""

    def __init__(self) -> None:
        self._before = 0.0

    @hookimpl
    def on_train_start(self, run: Run) -> None:
        """Drop what a stopped run wrote after its last saved state."""
        self._before = time.monotonic()
        path = run.folder / METRICS_FILE
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]  # a kill can cut the last one
        kept = [line for line in lines if not _after(json.loads(line), run)]
        write_text(path, "".join(kept))

    @hookimpl
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Add a line of losses; its seconds are those since the last line, whatever was done in them."""
        now = time.monotonic()
        seconds, self._before = round(now - self._before, 4), now
        counted = {"seen": dict(run.seen), "seconds": seconds}
        write_line(run, {"stage": run.stage, "step": step, **counted, "losses": dict(losses)})

    @hookimpl
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Add a line of scores."""
        mean = {"overall": overall(scores, run.model.groups)}
        write_line(run, {"stage": run.stage, "step": step, "scores": plain(scores), **plain(mean)})


class SampleGrids:
    """A grid of held-out translations every ``sample_every`` steps, and one of the finished model beside the base."""

    @hookimpl
    def on_step(self, run: Run, step: int, losses: Mapping[str, float]) -> None:
        """Draw a grid when it is time."""
        if _time_for_samples(run, step):
            with run.averaged():
                blocks = show({"translation": run.model}, run.dataset)
            write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}-{step:06d}.png")

    @hookimpl
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Draw the final grid."""
        if step < run.steps:
            return
        models = {"base model": run.base_model(), "translation": run.model} if run.stage == "transfer" else None
        blocks = show(models or {"translation": run.model}, run.dataset)
        write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}.png")


def _time_for_samples(run: Run, step: int) -> bool:
    return step % run.config.sample_every == 0 or step == run.steps


def _warning(run: Run, group: str, figure: float) -> str:
    return (
        f"The discriminator learns the drawings of '{group}' by heart: overfitting {figure:.2f} at step {run.step} of "
        f"{run.stage}, where 0 is none, and 1 judges held-out drawings like fakes. "
        f"Use {remedy(run.stage, run.config.augment)}, or a gradient penalty: --loss.adversarial.r1 1."
    )


def _brief(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('generator/', 'G ').replace('discriminator/', 'D ')} {value:.3f}"
                     for name, value in losses.items())  # fmt: skip


def _after(entry: Mapping[str, Any], run: Run) -> bool:
    """Say whether a line is later than the state: of the evaluation at the end of a stage every line is."""
    step = entry["step"]
    of_an_evaluation = {"scores", "symptoms"} & entry.keys()
    return entry["stage"] == run.stage and (step > run.step or (bool(of_an_evaluation) and step == run.steps))


def write_line(run: Run, entry: Mapping[str, Any]) -> None:
    """Add a line to ``metrics.jsonl``."""
    with (run.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
