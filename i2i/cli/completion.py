"""Completion of command lines by a shell, which calls ``i2i`` with the words so far in its environment."""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "_I2I_COMPLETE"
"""The environment variable by which a shell asks, as typer names it."""
_WORDS = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")


def asked() -> bool:
    """Return whether a shell asks for completions."""
    return VARIABLE in os.environ


def words() -> list[str]:
    """Return the words after ``i2i`` on the command line that a shell wants completed."""
    line = next((os.environ[name] for name in _WORDS if name in os.environ), "")
    return line.split()[1:]


def uncover(command: Any) -> None:
    """Let the options be completed that ``--help`` leaves out."""
    for parameter in command.params:
        parameter.hidden = False
    for inner in getattr(command, "commands", {}).values():
        uncover(inner)
