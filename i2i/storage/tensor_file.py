"""Self-describing safetensors files, written atomically, read without pickle, and checked for damage when read.

The description holds the SHA-256 of every tensor, checked when that tensor is read, and its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, aminmax, uint8

from i2i.errors import CheckpointError, first_problem
from i2i.storage.files import oddity, whole_file

FORMAT = 1

KEY = "i2i"

DIGESTS = "sha256"
"""The key of the digests in the description, by tensor; the description's own has the name ``""``."""

_LOGGER = logging.getLogger(__name__)


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
    """A tensor file, opened once: its description, and tensors by name, read and checked on access.

    A file without digests is read with a warning, which the command line shows as a note.

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
            if odd := oddity(path):
                raise CheckpointError(f"{path} {odd}. Name a .safetensors file.")
            self._file = _opened(path)
            content = json.loads((self._file.metadata() or {}).get(KEY, "null"))
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is damaged, cut short, or no safetensors file ({error}). Restore it."
            ) from error
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise CheckpointError(f"{path} was not written by i2i: it does not describe itself. Name a model of i2i.")
        if content["format"] > FORMAT:
            raise CheckpointError(f"{path} has format {content['format']}; this i2i reads up to {FORMAT}. Update i2i.")
        self._digests: dict[str, Any] | None = content.pop(DIGESTS, None)
        self.content: dict[str, Any] = content
        self._check_description()

    def _check_description(self) -> None:
        if self._digests is None:
            _note_unchecked(self.path)
        elif not isinstance(self._digests, dict) or self._digests.get("") != _text_digest(_text(self.content)):
            raise self._damage("its description has")
        elif self._digests.keys() - {""} != set(self._file.keys()):
            raise self._damage("its table of tensors has")

    def _damage(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path} is damaged: {what} changed since it was written. Restore it.")

    def __getitem__(self, name: str) -> Tensor:
        try:
            tensor: Tensor = self._file.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{self.path} cannot give '{name}' ({error}). Restore it.") from error
        if self._digests is not None and self._digests[name] != tensor_digest(name, tensor):
            raise self._damage(f"'{name}' has")
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
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = _text({"format": FORMAT, **content})
    digests = {"": _text_digest(text), **{name: tensor_digest(name, tensor) for name, tensor in plain.items()}}
    metadata = {KEY: _text({**json.loads(text), DIGESTS: digests})}
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


def tensor_digest(name: str, tensor: Tensor) -> str:
    """Return the SHA-256, in hexadecimal, of a CPU tensor with its name, type and shape."""
    digest = hashlib.sha256()
    feed(digest, name, tensor)
    return digest.hexdigest()


def feed(digest: hashlib._Hash, name: str, tensor: Tensor) -> None:
    """Add a CPU tensor with its name, type and shape to a digest."""
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.contiguous().reshape(-1).view(uint8).numpy().data)


def find_broken(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with NaN or infinity, or None."""
    return next((name for name, tensor in tensors.items() if not is_finite(tensor)), None)


def is_finite(tensor: Tensor) -> bool:
    """Return whether a tensor is free of NaN and infinity; ten times as fast as ``isfinite().all()``."""
    if not tensor.is_floating_point() or not tensor.numel():
        return bool(tensor.isfinite().all())
    return all(bool(end.isfinite()) for end in aminmax(tensor.detach()))


@lru_cache(maxsize=1024)  # once per file and process
def _note_unchecked(path: Path) -> None:
    _LOGGER.warning("note: %s was written without digests, so damage to it would go unseen.", path)


def _text(content: Mapping[str, Any]) -> str:
    """Return a description as JSON that is the same after reading and writing it again."""
    return json.dumps(json.loads(json.dumps(content)), sort_keys=True)


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _opened(path: Path) -> Any:  # its methods have no types
    return safe_open(path, framework="pt")
