"""Run folders: file names, creation and configuration."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import i2i
from i2i.config.options import validate
from i2i.config.run import INFORMATIVE, RunConfig
from i2i.errors import CheckpointError, ConfigError
from i2i.storage.files import is_vacant, make_folder, oddity, write_text
from i2i.storage.locks import locked
from i2i.storage.toml import read_toml, to_toml

MODEL_FILE, BASE_FILE, STATE_FILE = "model.safetensors", "base.safetensors", "state.safetensors"
BEST_FILE = "best.safetensors"
GROUPS = "groups"
"""The subfolder with one file per group."""
CONFIG_FILE, METRICS_FILE, REPORT_FILE, SAMPLES = "run.toml", "metrics.jsonl", "report.html", "samples"

STEPS, SCORES_FILE = "steps", "scores.json"

LOSSES_TABLE, SCORES_TABLE, LOGS = "losses.csv", "scores.csv", "logs"

LOCK_FILE = "run.lock"

STAGE_FILES = {"base": BASE_FILE, "transfer": MODEL_FILE}

_NAMED = ("backbone", "generator", "discriminator", "transfer", "data")
"""The tables of ``run.toml`` that name a component; some may be empty: ``data`` is after an import."""

_COUNTS = ("processes", "threads")
"""The numbers in the table ``machine``."""

_WRITTEN = (
    BASE_FILE, MODEL_FILE, BEST_FILE, STATE_FILE, METRICS_FILE, SCORES_FILE, REPORT_FILE, SAMPLES, STEPS, GROUPS,
)  # fmt: skip


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``run.toml``.

    Raises:
        ConfigError: The folder is not a run folder, or the file is not TOML.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{folder} is not a run folder: it has no {CONFIG_FILE}. Name a folder created by i2i run.")
    return read_toml(folder / CONFIG_FILE)


@dataclass(frozen=True)
class StoredConfig:
    """The contents of ``run.toml``, checked.

    Attributes:
        config: The options.
        versions: The versions of i2i and of each component's distribution.
        machine: The machine the run was created on.
    """

    config: RunConfig
    versions: Mapping[str, Any]
    machine: Mapping[str, Any]


def read_run(folder: Path) -> StoredConfig:
    """Read and check ``run.toml``.

    Raises:
        ConfigError: The folder is not a run folder, or the file is damaged; the message names the table.
    """
    file, content = folder / CONFIG_FILE, read_config(folder)
    informative = {name: content.pop(name, {}) for name in INFORMATIVE}
    config = validate(RunConfig, content, str(file))
    tables = {name: getattr(config, name) for name in _NAMED}
    tables = {name: table for name, table in tables.items() if table or name in ("backbone", "transfer")}
    for name in (name for name, table in tables.items() if not isinstance(table.get("name"), str)):
        raise ConfigError(f"{file} is damaged: [{name}] lacks its name. Restore it.")
    for name in (name for name, table in informative.items() if not isinstance(table, dict)):
        raise ConfigError(f"{file} is damaged: '{name}' is no table. Restore it.")
    counts = {name: informative["machine"].get(name, 1) for name in _COUNTS}
    for name in (name for name, count in counts.items() if type(count) is not int or count < 1):
        raise ConfigError(
            f"{file} is damaged: [machine] {name} is {counts[name]!r}, not a number from 1 on. Restore it."
        )
    return StoredConfig(config, **informative)


def run_folder(model: Path) -> Path | None:
    """Return the run folder of a model, or None; kept models are one level deeper."""
    places = (model,) if model.is_dir() else (model.parent, model.parent.parent)
    return next((place for place in places if (place / CONFIG_FILE).is_file()), None)


def write_config(
    folder: Path, config: RunConfig, providers: Mapping[str, str], machine: Mapping[str, Any] | None = None
) -> None:
    """Write ``run.toml``: configuration, versions and machine.

    Args:
        folder: The run folder.
        config: The configuration.
        providers: Kind of component to name and version of its distribution.
        machine: Result of `Engine.describe` on the training machine.
    """
    informative = {"versions": {"i2i": i2i.__version__, **providers}, "machine": machine}
    write_text(folder / CONFIG_FILE, to_toml({**config.model_dump(mode="json"), **informative}))


def claim(folder: Path, overwrite: bool, base_model: str | None = None) -> None:
    """Prepare ``folder`` for a new run.

    Raises:
        ConfigError: It holds a run without ``overwrite``, other files, or the base model.
        DataError: It cannot be created.
    """
    if base_model is not None and Path(base_model).resolve().parent == folder.resolve():
        raise ConfigError(f"{folder} holds the model to start from. Choose another --out.")
    if (folder / CONFIG_FILE).exists():
        if not overwrite:
            raise ConfigError(
                f"{folder} holds a run already. Resume it with i2i run --resume {folder}, or replace it: --overwrite."
            )
        with locked(folder / LOCK_FILE):
            _clear(folder)
    elif folder.is_dir() and not is_vacant(folder, LOCK_FILE):
        raise ConfigError(f"{folder} holds files other than a run. Choose an empty or new folder with --out.")
    make_folder(folder)


def scores_file(model: str = "") -> Path:
    """Return the name of the scores file of the run's model, or of ``model``, given without suffix."""
    file = Path(SCORES_FILE)
    return file.with_stem(f"{file.stem}-{model}") if model else file


def _clear(folder: Path) -> None:
    """Remove a run; last the file that makes the folder one, so that what is stopped on the way can be repeated."""
    others = folder.glob(scores_file("*").name)
    names = (*_WRITTEN, LOSSES_TABLE, SCORES_TABLE, LOGS, CONFIG_FILE)
    for path in (*others, *map(folder.joinpath, names)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def model_file(path: Path, names: Sequence[str] = (MODEL_FILE, BASE_FILE)) -> Path:
    """Return the model file in a run folder, or ``path`` itself if it is a file.

    Args:
        path: The folder or file.
        names: File names to look for in a folder, in order.

    Raises:
        CheckpointError: There is none.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist. Name a run folder or a .safetensors file.")
    if not path.is_dir():
        if odd := oddity(path):
            raise CheckpointError(f"{path} {odd}. Name a run folder or a .safetensors file.")
        return path
    for name in names:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"{path} holds no {MODEL_FILE}. Name a run folder whose training has finished a stage.")
