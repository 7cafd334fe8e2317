"""Reading files that torch saved: without running code, and without taking more memory than they hold."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.storage.files import oddity

_SHARED = 4
"""Times that a file's bytes may be used by its tensors: some files name a tensor twice."""
_SLACK = 2**20


def read_torch_file(path: Path) -> Any:
    """Load a file saved by torch: tensors and plain containers, as ``weights_only`` allows.

    Raises:
        CheckpointError: The file is not a regular one, is damaged, would run code, unpacks to more than its size, or
            holds tensors without plain values.
    """
    if odd := oddity(path):
        raise CheckpointError(f"{path} {odd}. Name a checkpoint file.")
    try:
        _refuse_bomb(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about old pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, error)) from error
    except Exception as error:  # zipfile and torch raise almost anything on damaged files
        raise CheckpointError(f"{path} is damaged, cut short, or not written by torch. Restore it.") from error
    _check_tensors(path, content)
    return content


def tensors_of(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested containers, with the path of keys that leads to each."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from tensors_of(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from tensors_of(value, f"{name}[{number}]")


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive whose members unpack to more than its size; torch stores them as they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    size = path.stat().st_size
    if unpacked > size:
        raise CheckpointError(f"{path} has {size} bytes and would unpack to {unpacked}. Get it as torch saved it.")


def _check_tensors(path: Path, content: Any) -> None:
    """Refuse tensors without plain values, and more values than the file holds."""
    total = 0
    for name, tensor in _named(path, content):
        if kind := _special(tensor):
            raise CheckpointError(f"{path}: '{name}' is {kind}, not plain numbers. Convert it before you save it.")
        total += tensor.numel() * tensor.element_size()
    size = path.stat().st_size
    if total > _SHARED * size + _SLACK:
        raise CheckpointError(f"{path} has {size} bytes and declares tensors of {total}. Get it as torch saved it.")


def _named(path: Path, content: Any) -> list[tuple[str, Tensor]]:
    try:
        return list(tensors_of(content))
    except RecursionError as error:
        raise CheckpointError(f"{path} holds containers nested without end. Restore it.") from error


def _special(tensor: Tensor) -> str:
    if tensor.is_meta:
        return "a meta tensor, which has no values"
    if tensor.is_quantized:
        return "quantised"
    return "" if tensor.layout == torch.strided else f"stored as {str(tensor.layout).removeprefix('torch.')}"


def _refusal(path: Path, error: Exception) -> str:
    match = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"it needs {match[1]}" if match else "it is more than a plain archive of tensors"
    return (
        f"{path} is refused: {what}, and reading it could run code. Get plain state dicts from its authors, or, where "
        "you trust it, load it yourself and save torch.save({name: network.state_dict()})."
    )
