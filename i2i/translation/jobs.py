"""Which images to translate, and where each translation goes."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.images.files import list_images, walk
from i2i.storage.files import check_folder
from i2i.translation.videos import VIDEO_SUFFIXES, is_video


@dataclass(frozen=True)
class Job:
    """One image to translate.

    Attributes:
        source: The image file.
        target: Where its translation is written.
    """

    source: Path
    target: Path


def find_sources(patterns: Sequence[str], out: str, recursive: bool = False) -> dict[Path, Path]:
    """Return the images that files, folders and globs name, with the name of each below the folder of translations.

    Args:
        patterns: Image files, folders of images, or globs.
        out: The folder of translations; images in it are left out of the folders around it.
        recursive: Include the subfolders of folders; names then keep the subfolder.

    Raises:
        DataError: A pattern names nothing.
    """
    outside = Path(out).absolute()
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for path, name in _expand(pattern, outside, recursive):
            found.setdefault(path, name)
    return found


def plan(sources: Mapping[Path, Path], out: str, suffix: str | None = None) -> list[Job]:
    """Return one job per source, in their order.

    ``out`` is a file if it has the suffix of an image format, or any suffix of letters if there is just one source. A
    slash at its end, or a folder of that name, makes it a folder.

    Args:
        sources: Each image with its name below the folder of translations.
        out: A folder or file.
        suffix: Of all translations, such as ``".png"``; None: each image keeps that of its source.

    Raises:
        ConfigError: Two images would have one translation, or ``out`` is a file and does not fit.
        DataError: ``out`` cannot become a folder.
    """
    if _is_file(out, len(sources)):
        jobs = [Job(source, Path(out)) for source in sources]
        _check_file(jobs, out, suffix)
    else:
        jobs = [Job(source, Path(out) / _renamed(name, suffix)) for source, name in sources.items()]
        _refuse_clash(jobs)
    check_folder(jobs[0].target.parent)
    return jobs


def _expand(pattern: str, outside: Path, recursive: bool) -> Iterator[tuple[Path, Path]]:
    path = Path(pattern)
    if not pattern:
        _nothing("A source is empty, as an unset variable of the shell is")
    if path.is_dir():
        images = [one for one in list_images(path, recursive) if not (recursive and _is_in(one, outside, path))]
        yield from ((one, one.relative_to(path)) for one in images or _nothing(f"{path} holds no images"))
    elif os.path.lexists(path):
        yield path, Path(path.name)
    else:
        matches = sorted(one for one in _matches(path) if not one.is_dir())
        yield from ((one, Path(one.name)) for one in matches or _nothing(f"{pattern} matches no file"))


def _matches(pattern: Path) -> set[Path]:
    """Return what a glob names. ``**`` enters no links to folders, which may lead round in circles."""
    parts = pattern.parts
    if "**" not in parts:
        return {Path(one) for one in glob.glob(str(pattern))}
    at = parts.index("**")
    rest = list(dropwhile(lambda part: part == "**", parts[at:])) or ["*"]
    folders = (folder for root in glob.glob(str(Path(*parts[:at]))) for folder in walk(Path(root)))
    return {match for folder, *_ in folders for match in _matches(Path(glob.escape(str(folder)), *rest))}


def _is_in(image: Path, outside: Path, folder: Path) -> bool:
    """Return whether an image lies in the folder of translations, and that folder in the one searched."""
    return outside != folder.absolute() and image.absolute().is_relative_to(outside)


def _nothing(problem: str) -> list[Path]:
    raise DataError(f"{problem}. Name image files, a folder of them, or a quoted glob.")


def _is_file(out: str, sources: int) -> bool:
    suffix = Path(out).suffix
    known = suffix.lower() in (*Image.registered_extensions(), *VIDEO_SUFFIXES)
    named = known or (sources == 1 and suffix[1:].isalpha())
    return named and not out.endswith("/") and not Path(out).is_dir()


def _renamed(name: Path, suffix: str | None) -> Path:
    return name if suffix is None or is_video(name) else name.with_suffix(suffix)


def _check_file(jobs: Sequence[Job], out: str, suffix: str | None) -> None:
    if len(jobs) > 1:
        raise ConfigError(f"{len(jobs)} images cannot all become {out}. Name a folder with --out.")
    if suffix not in (None, Path(out).suffix):
        raise ConfigError(f"--out {out} contradicts --format {suffix[1:]}. Leave one of them out.")


def _refuse_clash(jobs: Sequence[Job]) -> None:
    twice = next((target for target, count in Counter(job.target for job in jobs).items() if count > 1), None)
    if twice:
        raise ConfigError(f"Two images would become {twice}. Translate their folders one at a time.")
