"""The command line. It does not import torch; commands import what they need."""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape

import i2i
from i2i.cli import (
    bench,
    completion,
    data,
    estimate,
    evaluate,
    exchange,
    groups,
    plugins,
    report,
    training,
    translating,
    weights,
)
from i2i.cli.command import expanded, guarded
from i2i.cli.help import CONTEXT, readable
from i2i.cli.output import VOLUMES, lasting_output, open_console, set_volume
from i2i.cli.sharing import processes_asked
from i2i.errors import ConfigError, I2IError
from i2i.registry.events import blamed
from i2i.registry.registry import installed

DEBUG = "I2I_DEBUG"
_REFUSALS = {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EROFS, errno.EISDIR}
ANYWHERE = ("--debug", "--strict", *VOLUMES)
"""Flags accepted before or after the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``i2i`` and exit: 0 on success, 1 on an internal error, 2 on a user error, 130 on Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    set_volume(given)
    with lasting_output():
        status = _status(given, "--debug" in given or bool(os.environ.get(DEBUG)))
    sys.exit(status)


def _status(given: Sequence[str], debug: bool) -> int | str | None:
    """Run a command line and return its exit status, after showing its error."""
    try:
        return invoke(given)
    except SystemExit as stop:
        return stop.code
    except I2IError as error:
        _complain(error, debug)
        return 2
    except typer.TyperException as error:
        if error.format_message():  # a command group without a command only shows its help
            _complain(_mistake(error), debug)
        return 2
    except KeyboardInterrupt:
        _complain("interrupted", debug=False)
        return 130
    except Exception as error:
        explained = blamed(installed(), error) or _refused_path(error)
        if explained is not None:
            _complain(explained, debug)
            return 2
        _complain(f"{type(error).__name__}: {error} (this is a fault in i2i or a plugin; --debug shows where)", debug)
        return 1


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the typer application; the command named in ``arguments`` gets the options of its components.

    ``arguments`` must not contain the flags of ``ANYWHERE``.
    """
    app = typer.Typer(
        name="i2i",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings=CONTEXT,
    )
    app.callback()(_common)
    for command in training.COMMANDS:
        app.command(command.name, help=command.help)(expanded(command, arguments))
    app.command(estimate.COMMAND.name, help=estimate.COMMAND.help)(expanded(estimate.COMMAND, arguments))
    app.command("translate")(guarded(translating.translate))
    app.command(evaluate.COMMAND.name, help=evaluate.COMMAND.help)(expanded(evaluate.COMMAND, arguments))
    app.command("bench")(guarded(bench.bench))
    app.command("report")(guarded(report.report))
    app.command("import")(guarded(exchange.import_))
    app.command("export")(guarded(exchange.export))
    app.add_typer(groups.application(arguments), name="groups")
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(data.application(arguments), name="data")
    app.add_typer(weights.app, name="weights")
    installed().commands(app)
    return app


def program(arguments: Sequence[str] = (), alone: bool = False) -> Any:
    """Return the command that `application` describes, with help that people can read.

    With ``alone``, the command named in ``arguments`` is the only one: typer takes long to build the options of all.
    """
    app = application(arguments)
    if alone:
        _drop_others(app, arguments[0] if arguments else None)
    return readable(typer.main.get_command(app))


def _drop_others(app: typer.Typer, name: str | None) -> None:
    """Leave out the commands and command groups of other names, if one has this name."""
    commands = [command for command in app.registered_commands if command.name == name]
    groups = [group for group in app.registered_groups if group.name == name]
    if name is not None and (commands or groups):
        app.registered_commands, app.registered_groups = commands, groups


def invoke(arguments: Sequence[str]) -> int:
    """Execute one command in this process and return its status; exceptions propagate."""
    if "--strict" in arguments:
        installed().refuse_broken()
    rest = [argument for argument in arguments if argument not in ANYWHERE]
    if completion.asked():
        return int(_completing().main(args=rest, prog_name="i2i", standalone_mode=False) or 0)
    processes = processes_asked(rest)
    if processes > 1:
        from i2i.compute.launch import launch

        return launch(processes, "i2i", arguments)
    status = program(rest, alone=True).main(args=rest, prog_name="i2i", standalone_mode=False) or 0
    if status == 130:  # typer's status for Ctrl-C
        raise KeyboardInterrupt
    return int(status)


def _completing() -> Any:
    """Return the program with the options of what has been typed so far, if that makes sense yet."""
    words = completion.words()
    try:
        command = program(words)
    except I2IError:
        command = program(words[:1])
    completion.uncover(command)
    return command


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"i2i {i2i.__version__}")
        raise typer.Exit


def _common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    strict: bool = typer.Option(False, "--strict", help="Refuse to work with a broken plugin, or one that raises."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print only results, warnings and errors."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Print more: all losses and scores, all files, sizes."),
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Translate images between two domains without pairs, also for groups with only a handful of images."""


def _refused_path(error: Exception) -> ConfigError | None:
    """Return an error about a path that the system refuses: too long, forbidden, a loop of links, or no one's home."""
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # from Path.expanduser
        return ConfigError("A path begins with ~ and the name of no user here. Write the whole path.")
    if not isinstance(error, OSError) or error.errno not in _REFUSALS or error.filename is None:
        return None
    name = str(error.filename)
    shown = name if len(name) <= 200 else f"{name[:200]}…"
    return ConfigError(f"{shown} cannot be used ({error.strerror}). Choose another path.")


def _mistake(error: typer.TyperException) -> str:
    """Describe a mistake in the command line, suggesting the nearest option and the help."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "i2i"
    option = getattr(error, "option_name", None)
    if context and option and hasattr(error, "possibilities"):
        known = [flag for p in context.command.params for flag in (*p.opts, *p.secondary_opts)]
        what = f"{command} has no option '{option}'.{_nearest(option, known)}"
    else:
        what = error.format_message()
    return f"{what.rstrip('.')}{'' if what.endswith('?') else '.'} See {command} --help."


def _nearest(option: str, known: Sequence[str]) -> str:
    """Suggest the nearest option: for ``--chanels`` ``--backbone.channels``, for ``--steps`` ``--transfer-steps``."""
    full = {"--" + re.split("[.-]", flag)[-1]: flag for flag in reversed(known)}
    full |= {flag: flag for flag in known}
    near = difflib.get_close_matches(option, full, n=1, cutoff=0.6)
    return f" Did you mean '{full[near[0]]}'?" if near else ""


def _complain(what: object, debug: bool) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ and not _should_show(what):
        return
    console = open_console(error=True)
    if debug:
        console.print_exception()
    console.print(f"[bold red]error:[/] {escape(str(what))}", highlight=False)


def _should_show(what: object) -> bool:
    """Return whether this process should show the error."""
    from i2i.compute.processes import should_show

    return should_show(what if isinstance(what, Exception) else None)
