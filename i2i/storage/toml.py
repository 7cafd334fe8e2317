"""Options as TOML files."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from i2i.config.options import Section
from i2i.errors import ConfigError
from i2i.storage.files import oddity

LIMIT = 2**24
"""The most bytes of a configuration file, thousands of times a long one."""


def read_toml(path: str | Path) -> Section:
    """Read a configuration file.

    Raises:
        ConfigError: The file is missing, no regular file, far too large, or not TOML.
    """
    path = Path(path)
    if odd := oddity(path, LIMIT):
        raise ConfigError(f"{path} {odd}. Name an existing TOML file.")
    try:
        return tomllib.loads(_text(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}). Name an existing TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a TOML file ({error}). Mend it, or start from a run's run.toml.") from error


def _text(content: bytes) -> str:
    """Decode UTF-8, with or without a byte-order mark.

    Raises:
        UnicodeDecodeError: It is another encoding; the message names UTF-16.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnicodeDecodeError("utf-8", content[:2], 0, 2, "the file is UTF-16; save it as UTF-8")
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def to_toml(section: Mapping[str, Any]) -> str:
    """Return nested options as TOML, without None, which TOML lacks."""
    return tomli_w.dumps(_without_none(section))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
