"""The command line. Importing it costs no torch; commands import what they need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.markup import escape

from i2i.cli import data, options, plugins, training, translating
from i2i.errors import I2IError
from i2i.plugins import STRICT, Registry, installed

DEBUG = "I2I_DEBUG"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``i2i``: status 0 done, 1 a failure that is not the user's, 2 a mistake in what was given, 130 Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get(DEBUG))
    try:
        application(given)(args=given, prog_name="i2i")
    except I2IError as error:
        _complain(error, debug)
        sys.exit(2)
    except KeyboardInterrupt:
        _complain("interrupted", debug=False)
        sys.exit(130)
    except Exception as error:
        _complain(f"{type(error).__name__}: {error} (this is a fault in i2i or a plugin; --debug shows where)", debug)
        sys.exit(1)


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the typer application; the command that ``arguments`` name gets the options of its components."""
    app = typer.Typer(
        name="i2i", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
    )
    app.callback()(_common)
    for command in training.COMMANDS:
        app.command(command.name, help=command.help)(options.expanded(command, arguments))
    app.command("translate")(translating.translate)
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(data.app, name="data")
    _registry(arguments).commands(app)
    return app


def _common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    strict: bool = typer.Option(False, "--strict", help="Refuse to work with a broken plugin."),
) -> None:
    """Translate images between two domains without pairs, also for groups with only a handful of images."""


def _registry(arguments: Sequence[str]) -> Registry:
    if "--strict" in arguments:
        os.environ[STRICT] = "1"
        installed.cache_clear()
    return installed()


def _complain(what: object, debug: bool) -> None:
    console = Console(stderr=True, soft_wrap=True)
    if debug:
        console.print_exception()
    console.print(f"[bold red]error:[/] {escape(str(what))}", highlight=False)
