"""``i2i bench``: compare transfers from one base model over several seeds."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.output import open_console, open_remarks
from i2i.errors import ConfigError, TrainingError, did_you_mean
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.bench.bench import Plan

SIGNALLED = 128  # a shell's exit status of a command that a signal ended, less the signal
QUICK = {"seeds": 2, "base": ("--steps", "100"), "points": 3}
"""Six transfers, in less than 15 minutes on two cores."""
BEFORE = "Give {} to i2i bench itself, before the --."
TAKEN = {
    "--backbone": BEFORE.format("--backbones"),
    **{option: BEFORE.format(option) for option in ("--threads", "--device", "--out", "--resume")},
}
"""Options of trainings that a bench sets, with the remedy."""
TAKEN_IN_CELLS = {
    "--seed": "Seeds are 0, 1 and so on; choose their number with --seeds.",
    "--keep-every": "As many models are kept as are scored.",
}


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
    jobs: Annotated[int, typer.Option(help="Trainings at the same time, each in a process with its share of the "
                                      "threads.", min=1)] = 1,
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
    from i2i.bench.jobs import threads_each

    plots.check_available()
    threads = threads or (threads_each(jobs) if jobs > 1 else 0)
    plan = None if resume else _plan(options or (), backbones, transfers, variant or (), seeds, quick, threads, device)
    job = Bench(resume or out, plan, installed())
    against = _reference(reference, job.plan)
    job.claim()
    _execute(job, against, results or job.folder / "results", jobs)


def _execute(job: Any, reference: str, folder: Path, jobs: int) -> None:
    """Train and score every cell; rewrite the results after each seed.

    Raises:
        TrainingError: A cell failed; the others have been trained.
    """
    from i2i.bench.bench import Failure
    from i2i.bench.output import TEXT, write_results

    console, scored, failed = open_console(), {}, []
    for number, outcome in enumerate(job.execute(_train if jobs == 1 else _in_a_process, jobs), start=1):
        if isinstance(outcome, Failure):
            failed.append(outcome)
            console.print(str(outcome), highlight=False, markup=False)
        else:
            cell, results = outcome
            scored[cell] = results
            open_remarks().print(f"scored {cell}", highlight=False, markup=False)
        if scored and number % len(job.plan.contenders) == 0:
            write_results(job, scored, reference, folder)
    if failed:
        if scored:
            write_results(job, scored, reference, folder)
        names = "; ".join(failure.what for failure in failed)
        raise TrainingError(f"{len(failed)} failed: {names}. Repeat them with: i2i bench --resume {job.folder}.")
    console.print(f"Done: {folder / TEXT}", highlight=False, markup=False)


def _in_a_process(arguments: Sequence[str]) -> None:
    """Execute an i2i command in another process.

    Raises:
        TrainingError: It failed; the message is the command's.
    """
    result = subprocess.run([sys.executable, "-m", "i2i", *arguments], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        raise TrainingError(lines[-1].removeprefix("error: "))


def _train(arguments: Sequence[str]) -> None:
    """Train by a command line; a signal to processes of its own, such as Ctrl-C, ends the bench too.

    Raises:
        TrainingError: Processes of its own failed, and have said why.
    """
    from i2i.cli import invoke

    status = invoke(arguments)
    if status > SIGNALLED:
        sys.exit(status)
    if status:
        raise TrainingError(f"exit status {status}")


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
    _check_free(options)
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
    chosen = tuple(shlex.split(options))
    _check_free(chosen, of_cell=True)
    return label, chosen


def _check_free(options: Sequence[str], of_cell: bool = False) -> None:
    """Refuse options that the bench itself gives to its base models, or to its cells.

    Raises:
        ConfigError: There is one; the bench would override it, or train something else than its tables say.
    """
    from i2i.config.options import option_values

    taken = {**TAKEN, **TAKEN_IN_CELLS} if of_cell else TAKEN
    for option in option_values(options):
        if option in taken:
            raise ConfigError(f"i2i bench gives every training its own {option}. {taken[option]}")


def _reference(name: str | None, plan: Plan) -> str:
    names = list(plan.contenders)
    if name is None:
        return "branch" if "branch" in names else names[-1]
    if name not in names:
        raise ConfigError(f"There is no contender '{name}'.{did_you_mean(name, names)} Available: {', '.join(names)}.")
    return name
