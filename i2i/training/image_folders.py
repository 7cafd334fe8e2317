"""The images of a data set as folders, the way users arrange theirs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from i2i.config.options import check_group_name
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.errors import ConfigError, DataError
from i2i.storage.files import REMEDY


def write_folders(dataset: Dataset, out: Path) -> int:
    """Copy the images of a data set to ``out/GROUP/trainA``, ``trainB``, ``testA`` and ``testB``; return how many.

    The folder appears when it is complete.

    Raises:
        ConfigError: ``out`` exists already, where images of two sets would mix, or the name of a group is invalid.
        DataError: An image cannot be read, or the folder cannot be written.
    """
    if os.path.lexists(out):
        raise ConfigError(f"{out} exists already. Choose another --out.")
    temporary = out.with_name(f".{out.name[:40]}.{os.getpid()}.part")
    count = 0
    try:
        for folder, paths in _parts(dataset, temporary):
            folder.mkdir(parents=True)
            for name, path in zip(_names(paths), paths, strict=True):
                shutil.copyfile(path, folder / name)
                count += 1
        os.replace(temporary, out)
    except OSError as error:
        raise DataError(f"The images cannot be copied to {out} ({error}). {REMEDY}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _parts(dataset: Dataset, root: Path) -> Iterator[tuple[Path, Sequence[Path]]]:
    """Yield the folder of each part that has images, with those."""
    for group in dataset.groups:
        for name, part in (("train", dataset.train), ("test", dataset.test)):
            for domain in DOMAINS:
                if paths := part(group, domain):
                    yield root / check_group_name(group) / f"{name}{domain.upper()}", paths


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of files; numbered if two from different folders would be equal."""
    names = [path.name for path in paths]
    return names if len({*names}) == len(names) else [f"{number}-{name}" for number, name in enumerate(names)]
