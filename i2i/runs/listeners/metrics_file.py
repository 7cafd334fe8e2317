"""The log of a run: ``metrics.jsonl``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from i2i.contracts.run_events import RunView
from i2i.contracts.scores import Scores, overall, plain
from i2i.errors import DataError
from i2i.evaluation.metrics_log import Line, read_texts
from i2i.hooks import hookimpl
from i2i.storage.files import write_text
from i2i.storage.run_folder import METRICS_FILE


class MetricsFile:
    """``metrics.jsonl``: one line per step with losses, images seen and seconds, and one per evaluation with scores.

    Args:
        console: Receives warnings about damaged lines; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._before = 0.0

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Drop lines later than the saved state, and damaged lines with a warning each."""
        self._before = time.monotonic()
        path = run.folder / METRICS_FILE
        lines = read_texts(path, damaged=self._warn)
        write_text(path, "".join(text for text, line in lines if not _after(line, run)))

    @hookimpl
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Add a line of losses; its seconds count everything since the previous line."""
        now = time.monotonic()
        seconds, self._before = round(now - self._before, 4), now
        counted: dict[str, Any] = {"seen": dict(run.seen), "seconds": seconds}
        counted |= {"halvings": run.halvings} if run.halvings else {}
        write_line(run, {"stage": run.stage, "step": step, **counted, "losses": dict(losses)})

    @hookimpl
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Add a line of scores."""
        mean = {"overall": overall(scores, run.model.groups)}
        write_line(run, {"stage": run.stage, "step": step, "scores": plain(scores), **plain(mean)})

    def _warn(self, damage: DataError) -> None:
        what = str(damage).removesuffix(" Remove that line.")
        self._console.print(f"{what} The line is dropped.", style="yellow", highlight=False, markup=False)


def _after(line: Line, run: RunView) -> bool:
    """Return whether a line is later than the saved state; a stage's final evaluation always is."""
    is_evaluation = line.scores is not None or line.symptoms is not None
    return line.stage == run.stage and (line.step > run.step or (is_evaluation and line.step == run.steps))


def write_line(run: RunView, entry: Mapping[str, Any]) -> None:
    """Add a line to ``metrics.jsonl``."""
    with (run.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
