"""The data set contract: image files by group and domain."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from i2i.config.options import Options, check_group_name
from i2i.errors import DataError

if TYPE_CHECKING:
    from i2i.contracts.domains import Domain

ONLY_GROUP = "all"
"""Name of the only group of data without groups and of other projects' models."""


class Dataset(ABC):
    """Image files by group and domain, with a held-out split.

    Attributes:
        name: The name in the registry.
        groups: The groups, the base group first.
        base: The data-rich group.
        mirrored: Whether mirrored images are valid; if so, training mirrors half of the images. ``--flip`` and
            ``--no-flip`` override this.
    """

    name: ClassVar[str]
    groups: tuple[str, ...]
    base: str
    mirrored: bool = True

    class Config(Options):
        """Options of every data set."""

        base: str | None = Field(None, description="The data-rich group; by default the data set's own choice.")

    @abstractmethod
    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the training images of a group in a domain, sorted; unpaired with the other domain."""

    @abstractmethod
    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the held-out images of a group in a domain, sorted; may be empty."""

    def design(self, path: Path) -> str:
        """Return the design of an image: images that differ only in colours, say, share one.

        By default every file is a separate design.
        """
        return str(path)

    def attributes(self, path: Path) -> Mapping[str, str]:
        """Return known attributes that a translation should preserve, such as ``{"glasses": "yes"}``.

        Names and values are the same in both domains. By default none are known.
        """
        return {}

    def pairs(self, group: str) -> Sequence[tuple[Path, Path]] | None:
        """Return held-out (source, true target) pairs, for evaluation only, or None."""
        return None


ImagePaths = Path | Sequence[Path]
"""A folder, meaning all images in it, or image files."""


@dataclass(frozen=True)
class Group:
    """A group of images that a plugin or a command adds to a data set.

    Attributes:
        name: The name of the group.
        train_a: The source images for training: a folder or files.
        train_b: The target images for training, unpaired.
        test_a: Held-out source images; may be empty.
        test_b: Held-out target images; may be empty.
        extends: The data set that it joins in every run; None: only when named.

    Raises:
        ConfigError: The name is invalid.
    """

    name: str
    train_a: ImagePaths
    train_b: ImagePaths
    test_a: ImagePaths = ()
    test_b: ImagePaths = ()
    extends: str | None = None

    def __post_init__(self) -> None:
        check_group_name(self.name)

    def train(self, domain: Domain) -> list[Path]:
        """Return the training images, sorted.

        Raises:
            DataError: There are none.
        """
        given = {"a": self.train_a, "b": self.train_b}[domain]
        return _listed(given) or self._refuse(domain, given)

    def test(self, domain: Domain) -> list[Path]:
        """Return the held-out images, sorted."""
        return _listed({"a": self.test_a, "b": self.test_b}[domain])

    def _refuse(self, domain: str, given: ImagePaths) -> list[Path]:
        where = f": {given} holds none" if isinstance(given, Path) else ""
        raise DataError(f"The group '{self.name}' has no images of domain {domain} to train on{where}. Add one.")


class Extended(Dataset):
    """A data set with added groups, or added groups only.

    Args:
        groups: The added groups.
        dataset: The data set to add them to.
        kept: Which groups of the data set to keep; None: all of them.
        base: The data-rich group; by default the data set's.

    Raises:
        DataError: An added group has no images, or its name is taken.
    """

    name = "extended"

    def __init__(
        self,
        groups: Sequence[Group],
        dataset: Dataset | None = None,
        kept: Sequence[str] | None = None,
        base: str | None = None,
    ) -> None:
        inherited = () if dataset is None else dataset.groups
        taken = next((group.name for group in groups if group.name in inherited), None)
        if taken is not None:
            raise DataError(f"The data has a group '{taken}' already. Give the new one another name.")
        self._dataset = dataset
        self._added = {group.name: group for group in groups}
        self._train = {(g.name, domain): g.train(domain) for g in groups for domain in _DOMAINS}
        held_out = (g.test(domain) for g in groups for domain in _DOMAINS)
        self._files = frozenset(itertools.chain(*self._train.values(), *held_out))
        self.groups = (*(name for name in inherited if kept is None or name in kept), *self._added)
        self.base = base or (groups[0].name if dataset is None else dataset.base)
        self.mirrored = dataset is None or dataset.mirrored

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the training images of an added group or of the data set."""
        return self._train[group, domain] if group in self._added else self._inner.train(group, domain)

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the held-out images of an added group or of the data set."""
        return self._added[group].test(domain) if group in self._added else self._inner.test(group, domain)

    def design(self, path: Path) -> str:
        """Return the data set's design of an image."""
        return super().design(path) if self._dataset is None else self._dataset.design(path)

    def attributes(self, path: Path) -> Mapping[str, str]:
        """Return the data set's attributes of an image; added images have none."""
        return {} if self._dataset is None or path in self._files else self._dataset.attributes(path)

    def pairs(self, group: str) -> Sequence[tuple[Path, Path]] | None:
        """Return the data set's pairs; added groups have none."""
        return None if group in self._added else self._inner.pairs(group)

    @property
    def _inner(self) -> Dataset:
        if self._dataset is None:
            raise DataError(f"The data has only {', '.join(self._added)}. Name one of them.")
        return self._dataset


_DOMAINS: tuple[Domain, Domain] = ("a", "b")


def _listed(images: ImagePaths) -> list[Path]:
    from i2i.images.files import list_images

    return list_images(images) if isinstance(images, Path) else sorted(images)
