"""The checkpoint format contract: how another project saves its models, and how they become ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from i2i.config import Section

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.model import Model

Parts = Mapping[str, Mapping[str, Any]]
SUFFIXES = (".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True)
class Imported:
    """Another project's model in our terms.

    Attributes:
        config: What ``run.toml`` would hold: ``size``, ``backbone`` and the other components with their options.
        tensors: State of the model that ``config`` describes, by ``generators.a2b.…`` and so on. A whole network
            may be missing, where the original was saved without it; it starts anew.
        base: The base group.
        groups: The further groups; ``config`` names the transfer that made them.
        notes: Sentences that the user should read.
    """

    config: Section
    tensors: dict[str, Tensor]
    base: str = "all"
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class CheckpointFormat(ABC):
    """Reads and writes the checkpoint files of another project. The core opens the files, without running pickle code.

    Attributes:
        name: The name in the registry, for ``i2i export --format``.
    """

    name: ClassVar[str]

    def find(self, path: Path) -> dict[str, Path]:
        """Return the files that make up the checkpoint at ``path``, a file or folder, by part.

        Names alone decide, and {} means that the path cannot be of this format. By default a format is one file,
        and its part is called ``file``.
        """
        return {"file": path} if path.is_file() and path.suffix in SUFFIXES else {}

    @abstractmethod
    def recognises(self, parts: Parts) -> bool:
        """Say whether what the files hold, by part, is of this format."""

    @abstractmethod
    def read(self, parts: Parts, size: int | None) -> Imported:
        """Turn the files' contents into a model; widths and options are inferred from shapes.

        Args:
            parts: What `find` named, loaded.
            size: Side of the training images, where the user gave it; most files do not tell.

        Raises:
            CheckpointError: A parameter is missing, left over, or of an impossible shape.
        """

    @abstractmethod
    def write(self, model: Model) -> dict[str, dict[str, Any]]:
        """Return what each file of the format, by name, must hold for the original project to load the model.

        Raises:
            CheckpointError: The original has no such model.
        """
