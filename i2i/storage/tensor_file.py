"""Self-describing safetensors files, written atomically and read without pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from i2i.errors import CheckpointError, first_problem
from i2i.storage.files import whole_file

FORMAT = 1

KEY = "i2i"


class Description(BaseModel):
    """The description in a tensor file, or a part of it.

    Keys without a field are kept, so reading and rewriting a file loses nothing.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def of(cls, content: object, path: Path) -> Self:
        """Read a description from JSON.

        Raises:
            CheckpointError: A key is missing or has a value of the wrong type; the message names the file.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = first_problem(error)
            raise CheckpointError(f"{path} is damaged: its description {problem}. Restore it.") from error

    def content(self) -> dict[str, Any]:
        """Return the description in JSON types, with only the keys that were set."""
        return self.model_dump(mode="json", exclude_unset=True)


class TensorFile(Mapping[str, Tensor]):
    """A tensor file, opened once: its description, and tensors by name, read on access.

    Args:
        path: The file.

    Attributes:
        content: Its description, in JSON types.

    Raises:
        CheckpointError: The file is missing, damaged, truncated, or not i2i's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.exists():
                raise CheckpointError(f"{path} does not exist. Check the name.")
            self._file = _opened(path)
            content = json.loads((self._file.metadata() or {}).get(KEY, "null"))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged, cut short, or no safetensors file ({error}). Restore it."
            ) from error
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise CheckpointError(f"{path} was not written by i2i: it does not describe itself. Name a model of i2i.")
        if content["format"] > FORMAT:
            raise CheckpointError(f"{path} has format {content['format']}; this i2i reads up to {FORMAT}. Update i2i.")
        self.content: dict[str, Any] = content

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.keys())

    def __len__(self) -> int:
        return len(self._file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, without reading its values."""
        return tuple(self._file.get_slice(name).get_shape())


def write(path: Path, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description atomically.

    Raises:
        DataError: The file cannot be written.
    """
    metadata = {KEY: json.dumps({"format": FORMAT, **content}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(serialize(plain, metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read all tensors, and the description in JSON types.

    Raises:
        CheckpointError: As `TensorFile`.
    """
    file = TensorFile(path)
    return dict(file), file.content


def read_description(path: Path) -> dict[str, Any]:
    """Read the description in a file, in JSON types.

    Raises:
        CheckpointError: As `TensorFile`.
    """
    return TensorFile(path).content


def find_broken(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with NaN or infinity, or None."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def _opened(path: Path) -> Any:  # its methods have no types
    return safe_open(path, framework="pt")
