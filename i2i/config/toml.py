"""Options as TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from i2i.config.options import Section
from i2i.errors import ConfigError


def read_toml(path: str | Path) -> Section:
    """Read a configuration file.

    Raises:
        ConfigError: The file is missing, a folder, or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder. Name a TOML file.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}). Name an existing TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file ({error}). Mend it, or start from a run's run.toml.") from error


def to_toml(section: Mapping[str, Any]) -> str:
    """Return nested options as TOML, without None, which TOML lacks."""
    return tomli_w.dumps(_without_none(section))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
