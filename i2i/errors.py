"""i2i's own errors; the command line prints their message and exits with status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class I2IError(Exception):
    """Invalid user input. The message says what is wrong, where, and how to fix it."""


class ConfigError(I2IError):
    """An option or a configuration file is wrong."""


class DataError(I2IError):
    """An image, a folder or a data set cannot be used."""


class PluginError(I2IError):
    """A plugin is broken, or two plugins collide."""


class UnknownComponentError(I2IError):
    """No plugin provides a component of this name."""


class CheckpointError(I2IError):
    """A checkpoint is missing, damaged, or made for something else."""


class WeightsError(I2IError):
    """The weights of a pretrained network are missing, or do not match their hash."""


class TrainingError(I2IError):
    """Training cannot continue."""


class ProcessError(I2IError):
    """Another process of the training failed or ended.

    Args:
        message: The cause, as far as known.
        reported: Whether that process reports the failure itself.
    """

    def __init__(self, message: str, reported: bool = False) -> None:
        super().__init__(message)
        self.reported = reported


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or ``""`` if none is close.

    Names that begin with the given one come first, then similar spellings.

    Examples:
        >>> did_you_mean("ugatti", ["ugatit", "cyclegan"])
        " Did you mean 'ugatit'?"
    """
    names = list(known)
    begun = [name for name in names if given and name.startswith(given)]
    near = begun or difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def first_problem(error: ValidationError, reason: bool = True) -> str:
    """Say what is wrong with the content of a file, to follow its name: what it lacks, or which value does not fit.

    Args:
        error: What pydantic raised.
        reason: Add why the value does not fit.
    """
    first = error.errors()[0]
    key, message = ".".join(map(str, first["loc"])), plain_reason(first)
    which = f"'{key}'"
    if key.endswith(".[key]"):
        which = f"a key of '{'.'.join(map(str, first['loc'][:-2]))}'"
    if first["type"] == "missing":
        return f"lacks '{key}'"
    if not key:
        return f"does not hold together ({message})"
    return f"has {_short(first['input'])} as {which}" + (f" ({message})" if reason else "")


def plain_reason(details: Mapping[str, Any]) -> str:
    """Return the reason in one of pydantic's errors, without the prefix of those that validators raise."""
    return str(details["msg"]).removeprefix("Value error, ")


def _short(value: object) -> str:
    """Return a value as text that fits a message; a damaged file can hold anything."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
