"""What ``--help`` shows: types that people read, and advanced options only when asked for all."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import typer
import typer.core
from rich.markup import escape
from rich.padding import Padding

from i2i.cli.output import open_console

CONTEXT = {"help_option_names": ["--help", "-h"]}
"""Settings of every command."""

TYPES = {bool: "", int: "N", float: "X", str: "TEXT", Path: "PATH", dict: "JSON"}
"""What stands for a value in help, by its type; a switch has none."""

WIDEST = 26
"""Characters that choices may take in the column of values."""

SHORT = {"--out": "-o", "--recursive": "-r"}
"""Short forms, which every command accepts that has the option."""


class Listing(typer.core.TyperGroup):
    """A group of commands that lists if no command is named; the options of ``list`` follow the group's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert ``list`` unless a command or help is named."""
        named = bool(args) and (not args[0].startswith("-") or args[0] in CONTEXT["help_option_names"])
        return super().parse_args(ctx, args if named or ctx.resilient_parsing else ["list", *args])


def readable(command: Any, path: str = "i2i") -> Any:
    """Name the types of a command's options as people do, add short forms, and return the command.

    Args:
        command: The command; the commands of a group are changed, too.
        path: What the user types to call it.
    """
    context = command.context_class(command, info_name=path, **CONTEXT)
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            parameter.opts += [SHORT[flag] for flag in parameter.opts if flag in SHORT and not _taken(command, flag)]
            parameter.metavar = _type(parameter, context) if parameter.metavar is None else parameter.metavar
        else:
            parameter.display_type_rich = lambda ctx: ""  # its name and meaning say enough
    command.epilog = command.epilog or escape(_left_out(command, path)) or None
    for name, inner in getattr(command, "commands", {}).items():
        readable(inner, f"{path} {name}")
    return command


def panels(command: Any, context: Any) -> dict[str, list[Any]]:
    """Return all parameters of a command by panel, those left out of ``--help`` included."""
    by_panel: dict[str, list[Any]] = {}
    for parameter in sorted(command.get_params(context), key=lambda one: one.param_type_name):  # arguments first
        panel = parameter.rich_help_panel or f"{parameter.param_type_name.capitalize()}s"
        by_panel.setdefault(panel, []).append(parameter)
    return by_panel


def record(parameter: Any, context: Any) -> tuple[str, str]:
    """Return a parameter's flags with the type of its value, and its meaning."""
    hidden, parameter.hidden = parameter.hidden, False  # of a hidden one there is no record
    try:
        flags, meaning = parameter.get_help_record(context)
    finally:
        parameter.hidden = hidden
    return flags.strip(), meaning


def show_all(context: typer.Context, asked: bool) -> None:
    """Print every option of a command under its flags, which no column cuts off; then exit."""
    if not asked:
        return
    command, console = context.command, open_console(soft_wrap=False)
    console.width = min(console.width, 100)
    console.print(f"[bold]{escape(command.get_usage(context))}[/]\n\n{escape(command.help or '')}", highlight=False)
    for panel, parameters in panels(command, context).items():
        console.print(f"\n[bold]{escape(panel)}[/]", highlight=False)
        for parameter in parameters:
            flags, meaning = record(parameter, context)
            console.print(f"  [cyan]{escape(flags)}[/]", highlight=False, soft_wrap=True)
            console.print(Padding(meaning, (0, 0, 0, 6), expand=False), highlight=False)
    raise typer.Exit


def _left_out(command: Any, path: str) -> str:
    """Return what ``--help`` does not show of a command, by panel; empty if it shows everything."""
    hidden = [parameter.rich_help_panel for parameter in command.params if parameter.hidden]
    counts = ", ".join(f"{panel} ({len(list(same))})" for panel, same in groupby(hidden))
    return f"{len(hidden)} more options: {counts}. {path} --help-all shows them." if hidden else ""


def _type(option: Any, context: Any) -> str | None:
    if option.type_descriptor.is_choice:
        return str(option.display_type(context)).strip("<>")
    return TYPES.get(option.type_descriptor.annotation)


def _taken(command: Any, flag: str) -> bool:
    return any(SHORT[flag] in parameter.opts for parameter in command.params)
