"""Data sets on disk: folders of images, with or without groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from pydantic import Field, field_validator

from i2i import ONLY_GROUP, ConfigError, DataError, Dataset, check_group_name
from i2i_data.groups import check_known, put_first

if TYPE_CHECKING:
    from i2i import Domain

TRAIN: dict[Domain, str] = {"a": "trainA", "b": "trainB"}
TEST: dict[Domain, str] = {"a": "testA", "b": "testB"}
LAYOUTS = "ROOT/<group>/trainA, trainB or ROOT/trainA, trainB (testA and testB are optional)"


class Folders(Dataset):
    """Images in ``ROOT/<group>/{trainA,trainB,testA,testB}`` or, ungrouped, ``ROOT/{trainA,trainB,testA,testB}``.

    Without ``config.base``, the group with the most target images is the base.

    Raises:
        DataError: The root has neither layout, a training folder has no images, or ``config.base`` is not a group.
    """

    name: ClassVar[str] = "folder"

    class Config(Dataset.Config):
        """Options of folders of images."""

        root: Path = Field(description=f"Folder of the images: {LAYOUTS}.")

        @field_validator("root")
        @classmethod
        def _absolute(cls, root: Path) -> Path:
            """Make the path absolute, so that a run can be resumed from any folder."""
            return root.expanduser().absolute()

    def __init__(self, config: Config) -> None:
        self.config = config
        self._folders = find_groups(config.root)
        self._train = {group: _training_images(folder) for group, folder in self._folders.items()}
        self.base = self._choose_base(config.base)
        self.groups = put_first(self.base, sorted(self._folders))

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the images in the group's ``trainA`` or ``trainB``, sorted."""
        return self._train[self._check(group)][domain]

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the images in the group's ``testA`` or ``testB``, sorted; none if it does not exist."""
        folder = self._folders[self._check(group)] / TEST[domain]
        return _images(folder) if folder.is_dir() else []

    def _choose_base(self, wanted: str | None) -> str:
        if wanted is not None:
            return check_known(wanted, sorted(self._folders), f"--data.base: {self.config.root}")
        return min(self._train, key=lambda group: (-len(self._train[group]["b"]), group))

    def _check(self, group: str) -> str:
        return check_known(group, sorted(self._folders), str(self.config.root))


def find_groups(root: Path) -> dict[str, Path]:
    """Return the folder of every group under ``root``; without groups, ``root`` itself as the group ``all``.

    Raises:
        DataError: ``root`` is missing, is a file, or has neither layout or both; or a folder's name is not a valid
            group name.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}. Set --data.root to a folder with {LAYOUTS}.")
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    groups = [folder for folder in folders if _is_group(folder)]
    if _is_group(root):
        return {ONLY_GROUP: root} if not groups else _refuse_both(root, groups)
    if not groups:
        raise DataError(f"{root} {_contents(root)}. Arrange it as {LAYOUTS}.")
    return {_group_name(folder): folder for folder in groups}


def _is_group(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in (*TRAIN.values(), *TEST.values()))


def _refuse_both(root: Path, groups: list[Path]) -> NoReturn:
    raise DataError(
        f"{root} mixes both layouts: it has image folders and groups ({', '.join(group.name for group in groups)}). "
        f"Arrange it as one of them: {LAYOUTS}."
    )


def _contents(root: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"holds {', '.join(names[:5])}{more}, but no trainA or trainB" if names else "is empty"


def _group_name(folder: Path) -> str:
    try:
        return check_group_name(folder.name)
    except ConfigError as error:
        raise DataError(f"{folder}: {error} Rename the folder.") from error


def _training_images(folder: Path) -> dict[Domain, list[Path]]:
    return {domain: _some_images(folder / name) for domain, name in TRAIN.items()}


def _some_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist. Every group needs images in trainA (source) and trainB (target).")
    return _images(folder) or _refuse_empty(folder)


def _refuse_empty(folder: Path) -> NoReturn:
    from i2i import IMAGE_SUFFIXES

    what = "holds no images" if any(folder.iterdir()) else "is empty"
    raise DataError(f"{folder} {what}. Put images in it ({', '.join(IMAGE_SUFFIXES)}), or remove the group.")


def _images(folder: Path) -> list[Path]:
    from i2i import list_images

    return list_images(folder)
