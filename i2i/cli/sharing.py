"""``--processes``: sharing a training over processes of this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from i2i.errors import I2IError

SHARED = (("run",), ("train",), ("transfer",), ("groups", "add"))
"""The commands that train."""
HELP = {"--help", "-h", "--help-all"}


def processes_asked(arguments: Sequence[str]) -> int:
    """Return how many processes to start for a command line: as ``--processes`` says, or else its file or resumed run.

    It is 1 for commands that train nothing, under torchrun, and for a number that is none: the command refuses it.
    """
    trains = any(tuple(arguments[: len(path)]) == path for path in SHARED)
    if not trains or HELP & {*arguments} or "TORCHELASTIC_RUN_ID" in os.environ:
        return 1
    from i2i.config.options import option_values

    given = option_values(arguments)
    return _count(given["--processes"] if "--processes" in given else _stored(given))


def _stored(given: dict[str, str]) -> object:
    """Return the number in the configuration file, or in the run.toml of the run to resume."""
    from i2i.storage.run_folder import CONFIG_FILE
    from i2i.storage.toml import read_toml

    file = Path(given["--resume"]) / CONFIG_FILE if "--resume" in given else Path(given.get("--config", ""))
    with suppress(I2IError):  # the command itself will raise it
        return read_toml(file).get("processes", 1) if file.is_file() else 1
    return 1


def _count(value: object) -> int:
    from i2i.config.run import MOST_PROCESSES

    text = str(value)
    return int(text) if text.isdecimal() and 1 < int(text) <= MOST_PROCESSES else 1
