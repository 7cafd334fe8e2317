"""``i2i run``, ``train`` and ``transfer``: both stages of a run, or one of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from i2i.cli.command import COMPONENTS, Command
from i2i.cli.output import Volume, open_console, open_remarks, volume
from i2i.errors import ConfigError
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.models.description import ModelDescription
    from i2i.runs.run import Run

OPTION = "Run"
_PACE = frozenset({"batch_size", "steps", "transfer_steps"})  # a preset overrides these
Base = Annotated[Path | None, typer.Argument(help="A run folder or .safetensors file: the model to start from.")]
Out = Annotated[Path | None, typer.Option(help="The run folder. \\[default: runs/DATA-BACKBONE-TRANSFER]",
                                          show_default=False, rich_help_panel=OPTION)]  # fmt: skip
Resume = Annotated[Path | None, typer.Option(help="Resume a stopped run.", metavar="RUN",
                                             show_default=False, rich_help_panel=OPTION)]  # fmt: skip
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that --out holds.",
                                         show_default=False, rich_help_panel=OPTION)]  # fmt: skip
StopAfter = Annotated[int | None, typer.Option(help="Save and stop after this many steps of all stages.", min=1,
                                               show_default=False, rich_help_panel=OPTION)]  # fmt: skip


def run(
    base: Base = None,
    *,
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Train a base model, adapt it to further groups, evaluate it, and write a report: the main job.

    Without options it trains on the embedded emoji set. Given a model, it starts from that model's weights and options.
    See also train and transfer, the two stages apart.
    """
    execute(_open(base, given, out, resume, overwrite), resume, stop_after)


def train(
    base: Base = None,
    *,
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Train a base model on the base group alone.

    Given a model, it starts from that model's weights and options.
    """
    execute(_open(base, given, out, resume, overwrite, ("base",)), resume, stop_after)


def transfer(
    base: Base = None,
    *,
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    stop_after: StopAfter = None,
) -> None:
    """Adapt a trained base model to the further groups of a data set, or train a model with groups further.

    Given a model with groups and a folder of one new group alone, it adds that group, as i2i groups add does. Size,
    batch size, seed and the like are the base model's, unless given.
    """
    if base is None and resume is None and "base_model" not in given:
        raise ConfigError("Name a base model, for example: i2i transfer runs/base --transfer branch.")
    execute(_open(base, given, out, resume, overwrite, ("transfer",)), resume, stop_after)


COMMANDS = (
    Command("run", run),
    Command("train", train, components=tuple(kind for kind in COMPONENTS if kind != "transfer")),
    Command("transfer", transfer, components=("transfer", "data"), lacking=("steps",)),
)


def execute(job: Run, resume: Path | None, stop_after: int | None) -> None:
    """Train the remaining steps of a run, and print the result."""
    from i2i.runs import run as runs
    from i2i.storage.run_folder import REPORT_FILE

    console = open_console(quiet=not job.engine.processes.first)
    remarks = open_remarks(quiet=not job.engine.processes.first)
    _introduce(job, remarks, resume is not None)
    try:
        say = partial(remarks.print, highlight=False, markup=False)
        job.execute(_listeners(job, console, remarks), stop_after, say)
    except runs.Stopped as stop:
        stopped = f"Stopped after step {job.step} of {job.steps} ({job.stage})."
        console.print(f"{stopped} Resume with: {_resume_line(job)}", markup=False)
        if stop.signal:
            sys.exit(128 + stop.signal)
        return
    console.print(f"Done: {job.folder} (open {job.folder / REPORT_FILE})", markup=False)


def _open(
    base: Path | None,
    given: dict[str, Any],
    out: Path | None,
    resume: Path | None,
    overwrite: bool,
    stages: tuple[str, ...] = (),
) -> Run:
    """Create or reopen a run of ``stages``, by default those of the configuration."""
    from i2i.runs import run as runs

    if resume is not None:
        refused = [*sorted({*given} - {"processes"}), *["out"] * bool(out), *["overwrite"] * overwrite]
        return _reopen(resume, refused, base, stages)
    complete = completed(base, given, stages)
    folder = out or _default_folder(complete)
    job = _adding(complete) if stages == ("transfer",) else complete
    return runs.create_run(folder, job, installed(), overwrite)


def completed(base: Path | None, given: dict[str, Any], stages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Add the options of the start model, and the stages, to the user's options.

    Raises:
        ConfigError: There is a start model, and neither the user nor its run folder names any data.
    """
    from i2i.cli.options import check_told

    if base is not None:
        given = on_base(base, given, stages)
    start = base or given.get("base_model")
    if start is not None:
        check_told(start, given.get("data", {}))
    return {**given, "stages": list(stages)} if stages else given


def _adding(given: dict[str, Any]) -> dict[str, Any]:
    """Turn a transfer from a model with groups to a folder with one new group alone into the addition of that group."""
    from i2i.config.options import check_group_name
    from i2i.contracts.dataset import ONLY_GROUP
    from i2i.models.data import resolve_data
    from i2i.models.description import read_model_description

    model, data = Path(given["base_model"]), given.get("data", {})
    start = read_model_description(model)
    if not start.groups or "root" not in data:
        return given
    groups = resolve_data(given, installed()).build().groups
    if len(groups) > 1 or groups[0] in (start.base, *start.groups):
        return given
    root = Path(data["root"]).absolute()
    name, folder = (root.name, root) if groups[0] == ONLY_GROUP else (groups[0], root / groups[0])
    try:
        check_group_name(name)
    except ConfigError as error:
        raise ConfigError(f"{root}: {error} Rename the folder.") from error
    return {**given, "added": {"group": name, "root": str(folder)}, "data": data_of(model)}


def _reopen(resume: Path, refused: Sequence[str], base: Path | None, stages: tuple[str, ...]) -> Run:
    from i2i.runs import run as runs
    from i2i.storage.run_folder import CONFIG_FILE

    if base is not None:
        raise ConfigError(f"--resume {resume} has its start model already. Leave out {base}.")
    if refused:
        file = resume / CONFIG_FILE
        raise ConfigError(f"--resume uses the options in {file} and takes no others. Drop {_flags(refused)}.")
    job = runs.Run(resume, installed())
    if stages and job.config.stages != stages:
        raise ConfigError(f"{resume} trains {' and '.join(job.config.stages)}. Resume with: {_resume_line(job)}.")
    return job


def _default_folder(given: dict[str, Any]) -> Path:
    from i2i.models.components import DEFAULTS

    data = given.get("data", {})
    source = Path(data["root"]).resolve().name if "root" in data else data.get("name", DEFAULTS["data"])
    names = [given.get(kind, {}).get("name", DEFAULTS[kind]) for kind in ("backbone", "transfer")]
    stages = given.get("stages", ["base", "transfer"])
    return Path("runs") / "-".join([source, names[0], *(names[1:] if "transfer" in stages else ["base"])])


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def on_base(base: Path, given: dict[str, Any], stages: tuple[str, ...]) -> dict[str, Any]:
    """Merge the user's options over those of the start model and its run's data."""
    from i2i.cli.options import lay_over
    from i2i.models.description import read_model_description

    file = _start_file(base, stages)
    trained = read_model_description(file).config.content()
    if "preset" in given:
        trained = {name: value for name, value in trained.items() if name not in _PACE}
    data = {} if "data" in given else {"data": data_of(base)}
    return {**lay_over(trained, given), **data, "base_model": str(file.resolve())}


def data_of(model: Path) -> dict[str, Any]:
    """Return the ``data`` section of a model's run folder; empty for a file outside a run folder."""
    from i2i.storage.run_folder import read_config, run_folder

    folder = run_folder(model)
    return {} if folder is None else dict(read_config(folder).get("data", {}))


def _start_file(base: Path, stages: tuple[str, ...]) -> Path:
    """Return the file to start from: a run folder's base model, or for a transfer preferably the one with groups."""
    from i2i.storage.run_folder import BASE_FILE, MODEL_FILE, model_file

    return model_file(base, (MODEL_FILE, BASE_FILE) if stages == ("transfer",) else (BASE_FILE, MODEL_FILE))


def _introduce(job: Run, console: Console, resumed: bool) -> None:
    from i2i.runs.checks import base_of

    dataset, config, start = job.dataset, job.config, _start_model(job)
    base = dataset.base if start is None else base_of(start, dataset)
    counts = ", ".join(f"{g} {len(dataset.train(g, 'a'))}/{len(dataset.train(g, 'b'))}" for g in dataset.groups)
    transfer = f"transfer '{config.transfer['name']}', " if "transfer" in config.stages else ""
    console.print(f"[bold]i2i[/] {config.backbone['name']} at {config.size} px on {_place(job)}, "
                  f"{transfer}into {escape(str(job.folder))}")  # fmt: skip
    source = f"data '{config.data['name']}'" if config.added is None else f"adds '{config.added.group}'"
    console.print(f"{source}: {counts} source/target images; base group '{base}'")
    if config.base_model is not None:
        goes_on = start is not None and start.groups and config.added is None
        further = " and trains its groups further" if goes_on else ""
        console.print(f"starts from {config.base_model}{further}", highlight=False, markup=False)
    if job.batch_change:
        console.print(job.batch_change, highlight=False, markup=False)
    if resumed and job.changes:
        console.print(
            f"{job.changes}: results may differ in the last bits from an uninterrupted run.",
            highlight=False,
            markup=False,
        )


def _start_model(job: Run) -> ModelDescription | None:
    """Return the description of the start model; None without one, or if it has been deleted since."""
    from i2i.models.description import read_model_description

    file = Path(job.config.base_model or "")
    return read_model_description(file) if file.is_file() else None


def _place(job: Run) -> str:
    count = job.engine.processes.count
    return f"{job.engine.device} in {count} processes" if count > 1 else str(job.engine.device)


def _listeners(job: Run, console: Console, remarks: Console) -> list[object]:
    from i2i import report
    from i2i.runs.listeners import metrics_file, overfitting, progress, samples
    from i2i.runs.listeners.diagnosis import Diagnosis
    from i2i.runs.listeners.forecast import Forecast
    from i2i.runs.listeners.tensorboard import TensorBoard

    gauge = overfitting.OverfittingGauge(console)
    display = progress.ProgressDisplay(remarks, gauge=gauge, details=volume.get() is Volume.VERBOSE)
    watching = [display, metrics_file.MetricsFile(console), samples.SampleGrids(), gauge, Diagnosis(console)]
    watching.append(Forecast(remarks))
    logging = [TensorBoard()] if job.config.log == "tensorboard" else []
    return [report.Reporter(console), *watching, *logging]


def _resume_line(job: Run) -> str:
    command = "run" if len(job.config.stages) == 2 else {"base": "train"}.get(job.config.stages[0], "transfer")
    return f"i2i {command} --resume {shlex.quote(str(job.folder))}"
