"""What a stage costs, as soon as its first steps show it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

from rich.console import Console

from i2i.compute.memory import peak_memory
from i2i.compute.units import byte_size, duration
from i2i.contracts.run_events import RunView
from i2i.hooks import hookimpl
from i2i.models.size import ModelSize

TIMED = 4
"""Steps that are timed, after the first, which is slower."""


class Forecast:
    """Prints parameters, time per step, peak memory and the time left, once per stage.

    Args:
        console: The output console.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ends: list[float] = []

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Begin to time a stage."""
        self._ends = []

    @hookimpl(tryfirst=True)
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Print the line after the timed steps."""
        if len(self._ends) > TIMED:
            return
        self._ends.append(time.perf_counter())
        if len(self._ends) > TIMED and step < run.steps:
            self._console.print(self._line(run, step), highlight=False, markup=False)

    def _line(self, run: RunView, step: int) -> str:
        seconds = median(end - start for start, end in zip(self._ends, self._ends[1:], strict=False))
        memory = peak_memory(run.model.device)
        used = "" if memory is None else f", peak memory {byte_size(memory)}"
        left = f"{duration(seconds * (run.steps - step))} for the remaining {run.steps - step:,} steps"
        return f"{run.stage}: {ModelSize.of(run.model.backbone)}; {seconds:.3g} s per step{used}; about {left}"
