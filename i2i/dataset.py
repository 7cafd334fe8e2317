"""The data set contract: which image files belong to which group and domain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from i2i.config import Options

if TYPE_CHECKING:
    from i2i.images import Domain

ONLY_GROUP = "all"
"""What data without groups, and the model of another project, call their one group."""


class Dataset(ABC):
    """Image files by group and domain, with a held-out part.

    Attributes:
        name: The name in the registry.
        groups: The groups the base group first.
        base: The data-rich group.
    """

    name: ClassVar[str]
    groups: tuple[str, ...]
    base: str

    class Config(Options):
        """Options of every data set."""

        base: str | None = Field(None, description="The data-rich group; by default the data set's own choice.")

    @abstractmethod
    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the training images of a group in a domain, sorted; unpaired with the other domain."""

    @abstractmethod
    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the held-out images of a group in a domain, sorted; may be empty."""

    def pairs(self, group: str) -> Sequence[tuple[Path, Path]] | None:
        """Return held-out (source, true target) pairs for evaluation only, or None where there are none."""
        return None
