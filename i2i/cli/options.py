"""Command-line options of components: signatures built at run time from pydantic fields."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from rich.markup import escape

from i2i.cli.command import COMPONENTS, Command
from i2i.cli.help import TYPES, WIDEST
from i2i.cli.output import open_remarks
from i2i.config.options import Options, Section, as_written, merge, option_values
from i2i.config.run import INFORMATIVE, Evaluating, RunConfig
from i2i.errors import ConfigError, I2IError, did_you_mean
from i2i.registry.registry import installed
from i2i.storage.toml import read_toml

_PATHS = ("--out", "-o", "--resume", "--config", "--data")
_PLAIN = frozenset(
    {"preset", "size", "batch_size", "steps", "transfer_steps", "seed", "device", "processes", "augment"}
)
"""Options of a run that plain ``--help`` shows; all others, and those of components, are behind ``--help-all``."""
_NOT_SCALAR = {*COMPONENTS, "loss", "evaluate", "metric", "stages", "base_model", "added"}


def parameters(command: Command, arguments: Sequence[str]) -> list[inspect.Parameter]:
    """Return every option of a command: run options, component choices, and options of the chosen components."""
    scalars = command.only or [name for name in RunConfig.model_fields if name not in _NOT_SCALAR | {*command.lacking}]
    return [_config_file(), *map(_scalar, scalars), *_names(command), *_component_parameters(command, arguments)]


def nested(flat: Mapping[str, Any]) -> Section:
    """Turn the options given into a nested configuration, overriding that of ``--config``."""
    merged = _merged(flat)
    note_namesake(merged.get("data", {}))
    return merged


def _merged(flat: Mapping[str, Any]) -> Section:
    given = {name: value for name, value in flat.items() if value is not None}
    merged = _read_file(Path(given.pop("config"))) if "config" in given else {}
    for name, value in given.items():
        merged = lay_over(merged, _nest(name.split("__"), value))
    return merged


def check_told(model: object, data: Mapping[str, Any]) -> None:
    """Refuse a model if neither the user nor its run folder names any data.

    Raises:
        ConfigError: ``data`` is empty.
    """
    if not data:
        raise ConfigError(
            f"{model} is not in a run folder that names its data. Name the data: --data NAME or --data FOLDER."
        )


def lay_over(section: Section, layer: Section) -> Section:
    """Merge ``layer`` over a configuration, dropping the options of components that it replaces."""
    return merge(_without_replaced(section, layer), layer)


def _without_replaced(section: Section, layer: Section) -> Section:
    """Drop the options of components that ``layer`` replaces; replacing a backbone also drops its parts and losses."""
    gone: set[str] = set()
    for kind in COMPONENTS:
        old, new = (one.get(kind, {}).get("name") for one in (section, layer))
        if old and new and old != new:
            gone |= {kind, "generator", "discriminator", "loss"} if kind == "backbone" else {kind}
    return {name: value for name, value in section.items() if name not in gone}


def _read_file(path: Path) -> Section:
    """Read a configuration file; a component may be just a name: ``backbone = "cyclegan"``."""
    section = {name: value for name, value in read_toml(path).items() if name not in INFORMATIVE}
    for name, value in section.items():
        if name not in RunConfig.model_fields:
            near = did_you_mean(name, RunConfig.model_fields)
            raise ConfigError(f"{path} sets '{name}', which is not an option.{near or ' Remove it.'}")
        if name in COMPONENTS and isinstance(value, str):
            section[name] = _component(name, value)
        elif name in (*COMPONENTS, "loss", "evaluate", "metric") and not isinstance(value, dict):
            raise ConfigError(f"{path} sets '{name}' to {value!r}. Write a table: [{name}].")
    return section


def _nest(path: list[str], value: Any) -> Section:
    if len(path) == 1 and path[0] in COMPONENTS:
        return {path[0]: _component(path[0], value)}
    section: Section = {path[-1]: _literal(value)}
    for name in reversed(path[:-1]):
        section = {name: section}
    return section


def _component(kind: str, name: str) -> Section:
    return data_section(name) if kind == "data" else {"name": name}


def data_section(value: str) -> Section:
    """Read ``--data``: a path, the name of a data set, or else the name of a folder in the working directory."""
    from i2i.contracts.dataset import Dataset

    is_path = "/" in value or "\\" in value or value.startswith(".")
    if is_path or (Path(value).exists() and value not in installed().names(Dataset)):
        return {"name": "folder", "root": value}
    return {"name": value}


def note_namesake(data: Mapping[str, Any]) -> None:
    """Print how to choose the folder in the working directory that shares the data set's name, if there is one."""
    name = str(data.get("name", ""))
    if name and "root" not in data and Path(name).is_dir():
        note = f"--data {name} is the data set of that name. To use the folder instead: --data ./{name}"
        open_remarks(error=True).print(note, highlight=False, markup=False)


def _literal(value: Any) -> Any:
    """Parse lists and tables, ``[0.5, 0.999]`` or ``{"man": [75, 15]}``; pydantic parses all other text."""
    if not isinstance(value, str) or not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigError(f"{value} is not a list or table ({error}). Write JSON, such as '[0.5, 0.999]'.") from error


def _config_file() -> inspect.Parameter:
    return _parameter("config", "--config", "TOML file with the same options.", "FILE", "Run")


def _scalar(name: str) -> inspect.Parameter:
    return _field("", name, RunConfig.model_fields[name], RunConfig.model_fields[name].default, "Run")


def _names(command: Command) -> list[inspect.Parameter]:
    helps = {
        "backbone": "Translation model [default: ugatit].",
        "generator": "Generator, if not the backbone's default.",
        "discriminator": "Discriminator, if not the backbone's default.",
        "transfer": "How the model is adapted to further groups [default: branch].",
        "data": "A data set by name, or a folder of images "
        + ("[default: that of the model's run]." if command.only else "[default: emoji]."),
    }
    kinds = [kind for kind in command.components if kind != command.argument]
    return [_parameter(kind, f"--{kind}", helps[kind], "NAME", "Components") for kind in kinds]


def _component_parameters(command: Command, arguments: Sequence[str]) -> list[inspect.Parameter]:
    from i2i.contracts.loss import Loss
    from i2i.models.assembly import resolve
    from i2i.models.data import find_dataset

    registry = installed()
    given = lay_over(lay_over(_started_from(arguments), _scan(arguments)), _named_first(command, arguments))
    data = find_dataset(given, registry)
    chosen = resolve({key: value for key, value in given.items() if key != "data"}, registry, fitting=False)
    signature: list[inspect.Parameter] = []
    for kind in command.components:
        choice = None if kind == "data" else getattr(chosen, kind)
        component, values = (choice.component, choice.options.model_dump()) if choice else (data, {})
        signature += _section(kind, component.Config, values, f"{kind.capitalize()} '{component.name}'")
    for name in () if command.only else registry.names(Loss):
        options = registry.get(Loss, name).Config
        values = chosen.losses[name].options.model_dump() if name in chosen.losses else {"weight": 0.0}
        signature += _section(f"loss.{name}", options, values, "Losses")
    if not command.only:
        signature += _section("evaluate", Evaluating, chosen.config.evaluate.model_dump(), "Evaluation")
    return signature if command.argument else signature + _metric_parameters(chosen.config)


def _metric_parameters(config: RunConfig) -> list[inspect.Parameter]:
    from i2i.contracts.metric import Metric

    registry = installed()
    classes = {name: registry.get(Metric, name) for name in registry.names(Metric)}
    return [
        parameter
        for name, metric in classes.items()
        for parameter in _section(f"metric.{name}", metric.Config, config.metric.get(name, {}), "Metrics")
    ]


def _section(prefix: str, options: type[Options], values: Mapping[str, Any], panel: str) -> list[inspect.Parameter]:
    signature: list[inspect.Parameter] = []
    for name, info in options.model_fields.items():
        value = values.get(name, None if info.is_required() else info.get_default(call_default_factory=True))
        if isinstance(info.annotation, type) and issubclass(info.annotation, Options):
            signature += _section(f"{prefix}.{name}", info.annotation, value, panel)
        else:
            signature.append(_field(prefix, name, info, value, panel))
    return signature


def _scan(arguments: Sequence[str]) -> Section:
    """Read only what determines the available options: component names, the preset, the configuration file."""
    flags = (*COMPONENTS, "backbone.generator", "backbone.discriminator", "preset", "config")
    given = option_values(arguments)
    return _merged({name.replace(".", "__"): given[f"--{name}"] for name in flags if f"--{name}" in given})


def _named_first(command: Command, arguments: Sequence[str]) -> Section:
    """Return the component that the command's first argument names; empty if options name all."""
    name = command.first(arguments) if command.argument else None
    return {} if name is None else {command.argument: _component(command.argument, name)}


def _started_from(arguments: Sequence[str]) -> Section:
    """Return the configuration of the model that the command line names; empty if it names none."""
    from i2i.models.description import read_model_description
    from i2i.storage.run_folder import model_file

    for before, token in pairwise(["", *arguments]):
        if before not in _PATHS and not token.startswith("-") and Path(token).exists():
            with suppress(I2IError):  # the command itself will raise it
                return read_model_description(model_file(Path(token))).config.content()
    return {}


def _field(prefix: str, name: str, info: FieldInfo, default: Any, panel: str) -> inspect.Parameter:
    key = "__".join([*prefix.split("."), name]) if prefix else name
    flag = _flag(prefix, name)
    text, hidden = info.description or "", bool(prefix) or name not in _PLAIN
    if default not in (None, ()):
        text += f" [default: {as_written(default)}]"
    if info.annotation in (bool, bool | None):
        negative = f"--{prefix}.no-{name}" if prefix else f"--no-{name}"
        return _parameter(key, f"{flag}/{negative}", text, TYPES[bool], panel, bool, hidden)
    return _parameter(key, flag, text, _metavar(info.annotation), panel, hidden=hidden)


def _flag(prefix: str, name: str) -> str:
    if prefix.startswith("loss.") and name == "weight":
        return f"--{prefix}"
    return f"--{prefix}.{name}" if prefix else "--" + name.replace("_", "-")


def _parameter(
    key: str, flag: str, text: str, metavar: str, panel: str, kind: type[bool] | type[str] = str, hidden: bool = False
) -> inspect.Parameter:
    option = typer.Option(
        None, flag, help=escape(text), metavar=metavar, rich_help_panel=panel, show_default=False, hidden=hidden
    )
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _metavar(annotation: Any) -> str:
    """Return what stands for a value in help: ``N``, ``warm|fresh``, ``X,X`` or ``TEXT,...``.

    Choices that would widen the column are left to the option's description, and are ``NAME`` here.
    """
    origin, inner = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None)]
    if origin is Literal:
        choices = "|".join(str(choice) for choice in inner)
        return choices if len(choices) <= WIDEST else "NAME"
    if origin is tuple:
        return ",".join("..." if one is Ellipsis else _metavar(one) for one in inner)
    if origin in (Union, UnionType) and len(inner) == 1:
        return _metavar(inner[0])
    return TYPES.get(origin or annotation, "VALUE")
