"""``i2i bench``: compare transfers from one base model over several seeds."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.output import open_console
from i2i.errors import ConfigError, did_you_mean
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.bench.bench import Plan

QUICK = {"seeds": 2, "base": ("--steps", "100"), "points": 3}
"""Six transfers, in less than 15 minutes on two cores."""


def bench(
    options: Annotated[list[str] | None, typer.Argument(help="After --, options of i2i train for the base models; "
                                                        "transfers inherit them.", show_default=False)] = None,
    backbones: Annotated[str, typer.Option(help="Backbones, comma-separated.")] = "ugatit",
    transfers: Annotated[str | None, typer.Option(help="Transfers, comma-separated. "
                                                  "\\[default: the paper's comparison]", show_default=False)] = None,
    variant: Annotated[list[str] | None, typer.Option(help="Another contender: label=options of i2i transfer. "
                                                      "Can be repeated.",
                                                      metavar="LABEL=OPTIONS", show_default=False)] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds per contender. \\[default: 3]", min=1,
                                              show_default=False)] = None,
    reference: Annotated[str | None, typer.Option(help="The contender to test the others against. "
                                                  "\\[default: branch, or the last]", show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="100 steps and 2 seeds, as a rehearsal.")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 lets torch choose.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for the bench: its plan and cells.")] = Path("runs/bench"),
    results: Annotated[Path | None, typer.Option(help="Folder for tables and figures. \\[default: OUT/results]",
                                                 show_default=False)] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume a bench, with the plan in its folder.", metavar="BENCH",
                                                show_default=False)] = None,
) -> None:  # fmt: skip
    """Compare transfers on a data set, each from the same base model, over several seeds, with equal budgets.

    Ctrl-C stops; the same command resumes. Every cell is a run folder; bench.md lists the command that repeats it.
    """
    from i2i.bench import plots
    from i2i.bench.bench import Bench

    plots.check_available()
    plan = None if resume else _plan(options or (), backbones, transfers, variant or (), seeds, quick, threads, device)
    job = Bench(resume or out, plan, installed())
    against = _reference(reference, job.plan)
    job.claim()
    _execute(job, against, results or job.folder / "results")


def _execute(job: Any, reference: str, folder: Path) -> None:
    """Train and score every cell; rewrite the results after each completed seed."""
    from i2i.bench.output import TEXT, write_results

    console, scored = open_console(), {}
    for cell in job.train(_train):
        scored[cell] = job.score(cell)
        console.print(f"scored {cell.backbone} {cell.contender} seed {cell.seed}", highlight=False, markup=False)
        if len(scored) % len(job.plan.contenders) == 0:
            write_results(job, scored, reference, folder)
    console.print(f"Done: {folder / TEXT}", highlight=False, markup=False)


def _train(arguments: Sequence[str]) -> None:
    """Train by a command line; a status other than 0, which processes of its own return, ends the bench too."""
    from i2i.cli import invoke

    status = invoke(arguments)
    if status:
        sys.exit(status)


def _plan(
    options: Sequence[str],
    backbones: str,
    transfers: str | None,
    variants: Sequence[str],
    seeds: int | None,
    quick: bool,
    threads: int,
    device: str,
) -> Plan:
    from i2i.bench.bench import TRANSFERS, Plan
    from i2i.config.options import validate
    from i2i.contracts.transfer import Transfer

    registry, names = installed(), _listed(transfers) if transfers is not None else TRANSFERS
    for name in names:
        registry.get(Transfer, name)
    values: dict[str, Any] = {**(QUICK if quick else {}), "backbones": _listed(backbones)}
    values["base"] = (*values.get("base", ()), *options)
    values["contenders"] = {name: ("--transfer", name) for name in names} | dict(_variant(text) for text in variants)
    values["everywhere"] = ("--threads", str(threads), "--device", device)
    return validate(Plan, values if seeds is None else {**values, "seeds": seeds}, "the bench")


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _variant(text: str) -> tuple[str, tuple[str, ...]]:
    label, equals, options = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigError(
            f"--variant '{text}' has no '='. Write for example --variant 'average=--transfer branch --ema 0.99'."
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", label):
        raise ConfigError(f"'{label}' is not a valid contender name. Use letters, digits, '.', '_' and '-'.")
    return label, tuple(shlex.split(options))


def _reference(name: str | None, plan: Plan) -> str:
    names = list(plan.contenders)
    if name is None:
        return "branch" if "branch" in names else names[-1]
    if name not in names:
        raise ConfigError(f"There is no contender '{name}'.{did_you_mean(name, names)} Available: {', '.join(names)}.")
    return name
