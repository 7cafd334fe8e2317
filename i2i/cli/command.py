"""Commands that run components, and whose options may depend on the components named on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ParamSpec, get_args

import typer

from i2i.cli.help import show_all
from i2i.registry.events import naming
from i2i.registry.registry import installed

P = ParamSpec("P")

HELP_ALL = inspect.Parameter(
    "help_all",
    inspect.Parameter.KEYWORD_ONLY,
    annotation=bool,
    default=typer.Option(False, "--help-all", help="Show all options and exit.", callback=show_all, is_eager=True),
)
COMPONENTS = ("backbone", "generator", "discriminator", "transfer", "data")


@dataclass(frozen=True)
class Command:
    """A command with options that depend on the components named on its command line.

    Attributes:
        name: The name on the command line.
        function: Called with its declared arguments and ``given``, the nested configuration.
        components: The components the user can choose and configure.
        lacking: Run options it does not accept.
        only: If not empty, the only run options it accepts; such a command trains nothing.
        argument: The component that its first argument names, where no option does; such a command scores nothing.
    """

    name: str
    function: Callable[..., None]
    components: tuple[str, ...] = COMPONENTS
    lacking: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    argument: str = ""

    @property
    def help(self) -> str:
        """The function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @cached_property
    def declared(self) -> tuple[inspect.Parameter, ...]:
        """The function's parameters other than ``given``."""
        parameters = inspect.signature(self.function, eval_str=True).parameters.values()
        return tuple(parameter for parameter in parameters if parameter.name != "given")

    def first(self, arguments: Sequence[str]) -> str | None:
        """Return the first of ``arguments`` that is neither an option nor the value of one; None if there is none."""
        flags = {"--", "-h", "--help", "--help-all"}
        flags |= {f"--{one.name}" for one in self.declared if bool in get_args(one.annotation)}
        takes_value = False
        for token in arguments:
            if not (takes_value or token.startswith("-")):
                return token
            takes_value = token.startswith("-") and "=" not in token and token not in flags
        return None


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """Return a command that names the plugin whose component raises in it, or tries to end the program."""

    @wraps(function)
    def run(*values: P.args, **options: P.kwargs) -> None:
        with naming(installed()):
            function(*values, **options)

    return run


def expanded(command: Command, arguments: Sequence[str], within: tuple[str, ...] = ()) -> Callable[..., None]:
    """Return the command's function, `guarded`, adding the options of its components if ``arguments`` call it.

    Building those options imports pydantic and torch, which would slow down a plain ``i2i --help``.

    Args:
        command: The command.
        arguments: The command line, without the flags of ``ANYWHERE``.
        within: Its command group, such as ``("groups",)``.
    """
    keys = {parameter.name for parameter in command.declared}
    path = (*within, command.name)
    called = tuple(arguments[: len(path)]) == path

    def run(**values: Any) -> None:
        from i2i.cli.options import nested

        del values[HELP_ALL.name]
        passed = {name: value for name, value in values.items() if name in keys}
        guarded(command.function)(**passed, given=nested({k: v for k, v in values.items() if k not in keys}))

    more = _options(command, arguments[len(path) :]) if called else []
    run.__signature__ = inspect.Signature([*command.declared, HELP_ALL, *more])  # type: ignore[attr-defined]
    run.__doc__ = command.help
    return run


def _options(command: Command, arguments: Sequence[str]) -> list[inspect.Parameter]:
    from i2i.cli.options import parameters

    return parameters(command, arguments)
