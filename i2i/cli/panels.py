"""Options of a command as dataclasses, one per panel of its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import Field, fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer
from rich.markup import escape


def option(text: str, **limits: Any) -> Callable[[Field[Any], str], Any]:
    """Declare that a dataclass's field is an option.

    As in ``quality: Annotated[int, option("Of JPEG.", min=1, max=100)] = 95``. A switch has one
    side only: ``--tiles``, not ``--no-tiles``.

    Args:
        text: The help. Where it names a default in brackets, the field's is not shown.
        limits: ``min`` and ``max``.
    """

    def declared(field: Field[Any], panel: str) -> Any:
        flag = f"--{field.name.replace('_', '-')}"
        shown = field.default not in (None, False) and "[default" not in text
        return typer.Option(flag, help=escape(text), rich_help_panel=panel, show_default=shown, **limits)

    return declared


def in_panels(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer in which every parameter of a dataclass's type is the options of its fields.

    The dataclass's docstring is the title of the panel.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters
    panels = {name: hints[name] for name in parameters if is_dataclass(hints[name])}
    plain = [parameter.replace(annotation=hints[name]) for name, parameter in parameters.items() if name not in panels]

    def run(**values: Any) -> None:
        chosen = {name: {one.name: values.pop(one.name) for one in fields(panel)} for name, panel in panels.items()}
        command(**values, **{name: panel(**chosen[name]) for name, panel in panels.items()})

    options = [parameter for panel in panels.values() for parameter in _options(panel)]
    run.__signature__ = inspect.Signature([*plain, *options])  # type: ignore[attr-defined]
    run.__doc__ = command.__doc__
    return run


def _options(panel: type[Any]) -> Iterator[inspect.Parameter]:
    title = str(inspect.getdoc(panel)).rstrip(".")
    hints = get_type_hints(panel, include_extras=True)
    for field in fields(panel):
        kind, declared = get_args(hints[field.name])
        annotation: Any = Annotated[kind, declared(field, title)]
        keyword = inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(field.name, keyword, default=field.default, annotation=annotation)
