"""``i2i translate``: translate files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from i2i.cli.output import open_console
from i2i.contracts.detector import AUTO, GroupDetector
from i2i.errors import ConfigError, DataError
from i2i.registry.registry import installed
from i2i.storage.files import refuse_existing


def translate(
    model: Annotated[Path, typer.Argument(help="A run folder or a .safetensors model.")],
    images: Annotated[list[str], typer.Argument(help="Image files, folders of images, or globs.")],
    group: Annotated[str | None, typer.Option(help="Translate as this group. \\[default: the base group] With auto "
                                              "each image decides.")] = None,
    detector: Annotated[str | None, typer.Option(help="With --group auto: the detector of groups, from a plugin. "
                                                 "\\[default: the model's group head]")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the translations, or one image file.")] = Path("translated"),
    direction: Annotated[Literal["a2b", "b2a"], typer.Option(help="Which way.")] = "a2b",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing translations.")] = False,
) -> None:  # fmt: skip
    """Translate images of any size; each keeps its size and name."""
    console = open_console()
    sources = _gather(images)
    targets = _targets(sources, out, overwrite)
    from i2i.images.files import read_image, write_image
    from i2i.models.checkpoint import load

    translator = load(model)
    translator.check_group(group)
    if detector is not None:
        translator.detector = _detector(detector, group)
    failures = []
    for source, target in zip(sources, targets, strict=True):
        try:
            image = read_image(source)
            chosen = translator.detect(image, direction)[0] if group == AUTO else group
            write_image(translator.translate(image, chosen, direction), target)
        except DataError as error:
            failures.append(str(error))
        else:
            detected = f" ({chosen})" if group == AUTO else ""
            console.print(f"{source} -> {target}{detected}", highlight=False, markup=False)
    if failures:
        raise DataError("\n".join([*failures, f"{len(sources) - len(failures)} of {len(sources)} images translated."]))


def _detector(name: str, group: str | None) -> GroupDetector:
    if group != AUTO:
        raise ConfigError(f"--detector {name} works only with --group {AUTO}. Add that, or leave it out.")
    return installed().get(GroupDetector, name)()


def _gather(patterns: Sequence[str]) -> list[Path]:
    paths = [path for pattern in patterns for path in _expand(pattern)]
    return list(dict.fromkeys(paths))


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        from i2i.images.files import list_images

        return list_images(path) or _nothing(f"{path} holds no images")
    if path.exists():
        return [path]
    return sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file()) or _nothing(
        f"{pattern} matches no file"
    )


def _nothing(problem: str) -> list[Path]:
    raise DataError(f"{problem}. Name image files, a folder of them, or a quoted glob.")


def _targets(sources: list[Path], out: Path, overwrite: bool) -> list[Path]:
    if out.suffix and not out.is_dir():
        if len(sources) > 1:
            raise ConfigError(f"{len(sources)} images cannot all become {out}. Name a folder with --out.")
        targets = [out]
    else:
        targets = [out / source.name for source in sources]
    twice = next((t for t in targets if targets.count(t) > 1), None)
    if twice:
        raise ConfigError(f"Two images would become {twice}. Translate their folders one at a time.")
    refuse_existing(targets, overwrite, sources)
    _refuse_file(targets[0])
    return targets


def _refuse_file(target: Path) -> None:
    file = next((folder for folder in target.parents if folder.is_file()), None)
    if file:
        raise DataError(f"{file} is a file, so that no folder can be made of it. Choose another --out.")
