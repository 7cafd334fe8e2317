"""``i2i estimate``: what a run will cost, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.command import Command
from i2i.cli.output import JSON, open_console, print_json
from i2i.cli.training import Base, completed
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.runs.estimate import RunCost, StageCost

Unused = Annotated[Path | None, typer.Option("--out", help="Not used: nothing is written.", show_default=False)]
UnusedFlag = Annotated[bool, typer.Option("--overwrite", help="Not used: nothing is written.", show_default=False)]


def estimate(
    base: Base = None,
    *,
    given: dict[str, Any],
    out: Unused = None,
    overwrite: UnusedFlag = False,
    json: JSON = False,
) -> None:
    """Estimate parameters, memory and time of a run, from a few steps of each stage.

    Takes the options of i2i run, and writes nothing.
    """
    from i2i.runs.estimate import estimate as measure
    from i2i.runs.setup import check_setup

    setup, engine = check_setup(completed(base, given), installed())
    cost = measure(setup, engine, installed())
    if json:
        print_json(_content(cost))
        return
    console = open_console()
    for line in (*map(_stage_line, cost.stages), _total_line(cost)):
        console.print(line, highlight=False, markup=False)


COMMAND = Command("estimate", estimate)


def _content(cost: RunCost) -> dict[str, Any]:
    stages = [
        {
            "name": stage.name,
            "parameters": {"generators": stage.size.generators, "discriminators": stage.size.discriminators},
            "steps": stage.steps,
            "images_per_step": stage.samples,
            "seconds_per_step": stage.step_seconds,
            "seconds": stage.seconds,
        }
        for stage in cost.stages
    ]
    return {"stages": stages, "seconds": cost.seconds, "peak_bytes": cost.memory, "available_bytes": cost.available}


def _stage_line(stage: StageCost) -> str:
    from i2i.compute.units import duration

    pace = f"{stage.steps:,} steps of {stage.samples} images per domain, {stage.step_seconds:.3g} s per step"
    return f"{stage.name}: {stage.size}; {pace}: {duration(stage.seconds)}"


def _total_line(cost: RunCost) -> str:
    from i2i.compute.units import byte_size, duration

    memory = "unknown" if cost.memory is None else byte_size(cost.memory)
    there = "" if cost.available is None else f" of {byte_size(cost.available)}"
    return f"total: {duration(cost.seconds)} without evaluation and sample grids, peak memory {memory}{there}"
