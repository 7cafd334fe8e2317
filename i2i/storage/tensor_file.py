"""Self-describing safetensors files, written whole or not at all, and read without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.storage.files import whole_file

FORMAT = 1

KEY = "i2i"


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description, whole or not at all.

    Raises:
        DataError: The place cannot be written to.
    """
    metadata = {KEY: json.dumps({"format": FORMAT, **about}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(serialize(plain, metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and description back.

    Raises:
        CheckpointError: The file is missing, damaged, cut short, or not i2i's.
    """
    about = read_description(path)
    return _read_tensors(path), about


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of all tensors in a file, by name, and none of their values."""
    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_description(path: Path) -> dict[str, Any]:
    """Read what a file says of itself.

    Raises:
        CheckpointError: The file is missing, damaged, cut short, or not i2i's.
    """
    try:
        if not path.exists():
            raise CheckpointError(f"{path} does not exist. Check the name.")
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged, cut short, or no safetensors file ({error}). Restore it.") from error
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise CheckpointError(f"{path} was not written by i2i: it does not describe itself. Name a model of i2i.")
    if about["format"] > FORMAT:
        raise CheckpointError(f"{path} has format {about['format']}; this i2i reads up to {FORMAT}. Update i2i.")
    return about


def find_broken(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity; None where none does."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
