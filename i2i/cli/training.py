"""``i2i run``, ``train`` and ``transfer``: the main job, and its two stages apart."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from i2i.cli.command import COMPONENTS, Command
from i2i.errors import ConfigError
from i2i.plugins import installed

if TYPE_CHECKING:
    from i2i.run import Run

OPTION = "Run"
Out = Annotated[Path | None, typer.Option(help="The run folder. \\[default: runs/DATA-BACKBONE-TRANSFER]",
                                          show_default=False, rich_help_panel=OPTION)]  # fmt: skip
Resume = Annotated[Path | None, typer.Option(help="Go on with a stopped run.", metavar="RUN",
                                             show_default=False, rich_help_panel=OPTION)]  # fmt: skip
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that --out holds.",
                                         show_default=False, rich_help_panel=OPTION)]  # fmt: skip
StopAfter = Annotated[int | None, typer.Option(help="Save and stop after so many steps of all stages.", min=1,
                                               show_default=False, rich_help_panel=OPTION)]  # fmt: skip


def run(
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Train a base model, carry it over to the further groups, evaluate it, and write a report: the main job.

    Without options it trains on the embedded emoji set. See also train and transfer, the two stages apart.
    """
    _execute(given, out, resume, overwrite, stop_after)


def train(
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Train a base model on the base group alone."""
    _execute({**given, "stages": ["base"]}, out, resume, overwrite, stop_after)


def transfer(
    base: Annotated[Path | None, typer.Argument(help="A run folder or .safetensors file with a base model.")] = None,
    *,
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Carry a trained base model over to the further groups of a data set."""
    if resume is None:
        given = {**_on_base(base, given), "stages": ["transfer"]}
    elif base is not None:
        raise ConfigError(f"--resume {resume} knows its base model. Leave out {base}.")
    _execute(given, out, resume, overwrite, stop_after)


COMMANDS = (
    Command("run", run),
    Command("train", train, components=tuple(kind for kind in COMPONENTS if kind != "transfer")),
    Command("transfer", transfer, components=("transfer", "data")),
)


def _execute(
    given: dict[str, Any], out: Path | None, resume: Path | None, overwrite: bool, stop_after: int | None
) -> None:
    console = Console(soft_wrap=True)
    job = _open(given, out, resume, overwrite)
    _introduce(job, console)
    from i2i import run as runs

    try:
        job.execute(_listeners(console), stop_after)
    except runs.Stopped:
        stopped = f"Stopped after step {job.step} of {job.steps} ({job.stage})."
        console.print(f"{stopped} Go on with: {_resume_line(job)}", markup=False)
        if stop_after is None:
            sys.exit(130)
        return
    console.print(f"Done: {job.folder} (open {job.folder / runs.REPORT_FILE})", markup=False)


def _open(given: dict[str, Any], out: Path | None, resume: Path | None, overwrite: bool) -> Run:
    from i2i import run as runs

    if resume is None:
        return runs.create(out or _default_folder(given), given, installed(), overwrite)
    refused = [*sorted(key for key in given if key != "stages"), *["out"] * bool(out), *["overwrite"] * overwrite]
    if refused:
        file = resume / runs.CONFIG_FILE
        raise ConfigError(f"--resume goes on with the options in {file} and takes no others. Drop {_flags(refused)}.")
    return runs.resume(resume, installed())


def _default_folder(given: dict[str, Any]) -> Path:
    from i2i.assemble import DEFAULTS

    data = given.get("data", {})
    source = Path(data["root"]).resolve().name if "root" in data else data.get("name", DEFAULTS["data"])
    names = [given.get(kind, {}).get("name", DEFAULTS[kind]) for kind in ("backbone", "transfer")]
    stages = given.get("stages", ["base", "transfer"])
    return Path("runs") / "-".join([source, names[0], *(names[1:] if "transfer" in stages else ["base"])])


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _on_base(base: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Lay what was given over what the base model says of itself."""
    from i2i.checkpoint import model_file, read_model_description
    from i2i.config import merge

    if base is None:
        raise ConfigError("Name a base model, for example: i2i transfer runs/base --transfer branch.")
    about = read_model_description(model_file(base))
    if about["groups"]:
        raise ConfigError(f"{base} serves {', '.join(about['groups'])} already. Name a base model.")
    return merge(about["config"], given, {"base_model": str(model_file(base).resolve())})


def _introduce(job: Run, console: Console) -> None:
    dataset, config = job.dataset, job.config
    counts = ", ".join(f"{g} {len(dataset.train(g, 'a'))}/{len(dataset.train(g, 'b'))}" for g in dataset.groups)
    console.print(f"[bold]i2i[/] {config.backbone['name']} at {config.size} px on {job.engine.device}, "
                  f"transfer '{config.transfer['name']}', into {escape(str(job.folder))}")  # fmt: skip
    console.print(f"data '{config.data['name']}': {counts} source/target images; base group '{dataset.base}'")


def _listeners(console: Console) -> list[object]:
    from i2i import listeners, report

    watch = [listeners.ProgressDisplay(console), listeners.MetricsFile(), listeners.SampleGrids()]
    return [report.Reporter(), *watch]


def _resume_line(job: Run) -> str:
    command = "run" if len(job.config.stages) == 2 else {"base": "train"}.get(job.stage, job.stage)
    return f"i2i {command} --resume {shlex.quote(str(job.folder))}"
