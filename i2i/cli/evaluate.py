"""``i2i evaluate``: score a model on held-out images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from i2i.cli.command import Command
from i2i.cli.output import JSON, open_console, open_remarks, print_json
from i2i.errors import ConfigError, DataError
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.config.run import RunConfig
    from i2i.contracts.dataset import Dataset
    from i2i.contracts.metric import Score
    from i2i.contracts.scores import Judgement, Scores
    from i2i.evaluation.scoring import Evaluation
    from i2i.models.model import Model

LEGEND = (
    "↓ lower is better, ↑ higher is better; 95 % intervals. real drawings: scored in place of the translations; "
    "untranslated: the sources as they are."
)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a .safetensors model.")],
    *,
    given: dict[str, Any],
    metrics: Annotated[str | None, typer.Option(help="Metrics, comma-separated. \\[default: all that weights "
                                                "and data allow]", show_default=False)] = None,
    through: Annotated[str | None, typer.Option("--as", help="Translate every group as this one, to measure the "
                                                "effect of its branch. Writes no file without --out.",
                                                metavar="GROUP", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="File for the scores. \\[default: scores.json in the run folder]",
                                             show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")] = False,
    json: JSON = False,
) -> None:  # fmt: skip
    """Score a model's translations of held-out images per group, next to real drawings and untranslated sources.

    By default the data is that of the run. In a run folder the scores are also written, to scores.json; those of
    best.safetensors to scores-best.json, and so on.
    """
    from i2i.compute.engine import Engine
    from i2i.config.options import merge
    from i2i.evaluation.score_file import score_content, write_scores
    from i2i.evaluation.scoring import Evaluation
    from i2i.models.checkpoint import load
    from i2i.storage.run_folder import model_file, run_folder

    file, folder, registry = model_file(model), run_folder(model), installed()
    target = _target(file, None if through else folder, model.is_dir(), out, overwrite)
    config, settings = _config(folder), _settings(given, metrics)
    dataset, section = _dataset(model, folder, config, given, settings)
    evaluation = Evaluation(
        dataset, registry, settings.evaluate.metrics, merge(config.get("metric", {}), settings.metric)
    )
    engine, translator = Engine(settings.device, threads=settings.threads), load(file, registry)
    translator.backbone.to(engine.device)
    evaluation.load(engine.device)
    translator.check_group(through)
    _check_groups(file, translator, dataset, evaluation)
    scores = evaluation.scores(translator, through=through)
    content = score_content(file, translator, section, evaluation, scores, registry, engine)
    content |= {"translated_as": through} if through else {}
    if target is not None:
        write_scores(content, target)
    if json:
        print_json(content)
        return
    console = open_console()
    _show(console, scores, translator, through)
    if target is not None:
        console.print(str(target), highlight=False, markup=False)


COMMAND = Command("evaluate", evaluate, components=("data",), only=("device", "threads", "extra_groups"))


def _config(folder: Path | None) -> dict[str, Any]:
    from i2i.storage.run_folder import read_config

    return {} if folder is None else read_config(folder)


def _target(file: Path, folder: Path | None, is_folder: bool, out: Path | None, overwrite: bool) -> Path | None:
    """Return the file to write scores to; None without a run folder or --out."""
    from i2i.storage.files import refuse_existing
    from i2i.storage.run_folder import scores_file

    if out is not None:
        refuse_existing([out], overwrite, [file])
        return out
    return None if folder is None else folder / scores_file("" if is_folder else file.stem)


def _settings(given: Mapping[str, Any], metrics: str | None) -> RunConfig:
    """Read the options, including those of a configuration file."""
    from i2i.config.options import merge, validate
    from i2i.config.run import RunConfig

    named = {} if metrics is None else {"evaluate": {"metrics": metrics}}
    options = {name: given[name] for name in (*COMMAND.only, "evaluate", "metric") if name in given}
    return validate(RunConfig, merge(options, named), "the evaluation")


def _dataset(
    model: Path, folder: Path | None, config: Mapping[str, Any], given: Mapping[str, Any], settings: RunConfig
) -> tuple[Dataset, dict[str, Any]]:
    """Return the named data set, or else the run's, with its options."""
    from i2i.cli.options import check_told, lay_over
    from i2i.models.data import build_data, joining_groups, resolve_data
    from i2i.runs.setup import read_setup

    registry = installed()
    other = {"data", "extra_groups"} & given.keys()
    if folder is not None and not other and (config.get("data") or config.get("added")):
        return read_setup(folder, registry).dataset, dict(config.get("data", {}))
    section = lay_over({"data": config.get("data", {})}, {"data": given.get("data", {})})
    check_told(model, section["data"])
    choice = resolve_data(section, registry)
    return build_data(choice, joining_groups(choice, settings.extra_groups, registry), registry), choice.section


def _check_groups(file: Path, model: Model, dataset: Dataset, evaluation: Evaluation) -> None:
    """Refuse data without held-out images or sharing no group with the model; an unnamed group matches all."""
    from i2i.contracts.dataset import ONLY_GROUP

    if not evaluation.groups:
        raise DataError(
            f"The data has no held-out images in {', '.join(dataset.groups)}. Put some into testA (and drawings into "
            "testB) next to trainA, or choose other data with --data."
        )
    if {*evaluation.groups} & {*model.groups} or ONLY_GROUP in (*model.groups, *dataset.groups):
        return
    raise ConfigError(
        f"{file} has the groups {', '.join(model.groups)}, but the data has held-out images of "
        f"{', '.join(evaluation.groups)} only. Choose other data with --data."
    )


def _show(console: Console, scores: Scores, model: Model, through: str | None) -> None:
    from i2i.contracts.scores import overall
    from i2i.evaluation.score_file import counted
    from i2i.report.dot_plots import MARKS

    absent = dict(_absent(scores))
    columns = ("group", "metric", "score", "interval", "n", *MARKS.values(), "note")
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, padding=(0, 2, 0, 0))
    groups = {
        group: {name: one for name, one in by_metric.items() if name not in absent}
        for group, by_metric in scores.items()
    }
    for group, by_metric in groups.items():
        served = through or (group if group in model.groups else model.base)
        title = group if group == served else f"{group} (as {served})"
        _add(table, title, by_metric)
    if len(scores) > 1:
        averaged = counted(model, list(scores))
        title = "mean" if len(averaged) == len(scores) else f"mean of {', '.join(averaged)}"
        _add(table, title, overall(scores, averaged))
    console.print(table)
    for where, lines in ((open_remarks(), (LEGEND, *_measured(groups))), (console, absent.values())):
        for line in lines:
            where.print(line, style="dim", highlight=False, markup=False)


def _add(table: Table, title: str, judgements: Mapping[str, Judgement]) -> None:
    for name, one in judgements.items():
        figures = (
            _figure(one.value),
            _interval(one),
            str(one.n or ""),
            _marked(one.real_drawings),
            _marked(one.untranslated),
        )
        arrow = "" if one.value is None else f" {one.arrow}"
        table.add_row(escape(title), escape(name + arrow), *figures, escape(one.note))
        title = ""
    table.add_row()


def _absent(scores: Scores) -> Iterator[tuple[str, str]]:
    """Yield name and reason of metrics that score no group, if the reason is the same for all groups."""
    names = dict.fromkeys(name for by_metric in scores.values() for name in by_metric)
    for name in names:
        judgements = [by_metric[name] for by_metric in scores.values() if name in by_metric]
        notes = {one.note for one in judgements}
        if len(notes) == 1 and all(one.value is None for one in judgements):
            note = notes.pop()
            yield name, note if name in note else f"{name}: {note}"


def _measured(scores: Scores) -> Iterator[str]:
    """Yield a line per metric with its network, resizing and images, which its parts share."""
    from i2i.contracts.scores import metric_of

    first: dict[str, Judgement] = {}
    for by_metric in scores.values():
        whole = {metric_of(name): one for name, one in by_metric.items() if one.value is not None}
        first |= {name: one for name, one in whole.items() if name not in first}
    for name, one in first.items():
        yield f"{name}: {one.measured}"


def _interval(one: Judgement) -> str:
    known = one.score is not None and one.score.has_interval
    return f"{_figure(one.low)} to {_figure(one.high)}" if known else ""


def _marked(score: Score | None) -> str:
    return "" if score is None else _figure(score.value)


def _figure(value: float | None) -> str:
    from i2i.report.page import figure

    return figure(value) or "-"
