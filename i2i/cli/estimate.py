"""``i2i estimate``: what a run will cost, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from i2i.cli.command import Command
from i2i.cli.training import Base, completed
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.runs.estimate import RunCost, StageCost

Unused = Annotated[Path | None, typer.Option("--out", help="Not used: nothing is written.", show_default=False)]
UnusedFlag = Annotated[bool, typer.Option("--overwrite", help="Not used: nothing is written.", show_default=False)]


def estimate(base: Base = None, *, given: dict[str, Any], out: Unused = None, overwrite: UnusedFlag = False) -> None:
    """Estimate parameters, memory and time of a run, from a few steps of each stage.

    Takes the options of i2i run, and writes nothing.
    """
    from i2i.runs.estimate import estimate as measure
    from i2i.runs.setup import check_setup

    setup, engine = check_setup(completed(base, given), installed())
    cost = measure(setup, engine, installed())
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for stage in cost.stages:
        console.print(_stage_line(stage))
    console.print(_total_line(cost))


COMMAND = Command("estimate", estimate)


def _stage_line(stage: StageCost) -> str:
    from i2i.compute.units import duration

    pace = f"{stage.steps:,} steps of {stage.samples} images per domain, {stage.step_seconds:.3g} s per step"
    return f"{stage.name}: {stage.size}; {pace}: {duration(stage.seconds)}"


def _total_line(cost: RunCost) -> str:
    from i2i.compute.units import byte_size, duration

    memory = "unknown" if cost.memory is None else byte_size(cost.memory)
    there = "" if cost.available is None else f" of {byte_size(cost.available)}"
    return f"total: {duration(cost.seconds)} without evaluation and sample grids, peak memory {memory}{there}"
