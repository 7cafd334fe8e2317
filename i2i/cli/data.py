"""``i2i data``: list data sets, check one, draw its contact sheet, or copy its images into folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from i2i.cli.command import Command, expanded, guarded
from i2i.cli.output import JSON, Volume, open_console, print_json, volume
from i2i.registry.registry import installed, summary

if TYPE_CHECKING:
    from i2i.config.run import RunConfig
    from i2i.contracts.dataset import Dataset

FEW = 3
"""Skipped files that are named without ``--verbose``."""

Named = Annotated[str, typer.Argument(help="A data set by name, or a folder of images.")]


def list_(json: JSON = False) -> None:
    """Show the data sets that plugins provide."""
    from i2i.contracts.dataset import Dataset

    registry = installed()
    rows = [
        {"name": name, "description": summary(registry.get(Dataset, name)), "from": registry.provider(Dataset, name)}
        for name in registry.names(Dataset)
    ]
    if json:
        print_json(rows)
        return
    table = Table("data set", "description", "from", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row.values())
    open_console(soft_wrap=False).print(table)


def check(
    data: Named,
    given: dict[str, Any],
    size: Annotated[int | None, typer.Option(help="The side you will train at. \\[default: that of i2i run]",
                                             min=16, show_default=False)] = None,
    json: JSON = False,
) -> None:  # fmt: skip
    """Open every image, count them by group, and say what may spoil a training; status 2 when any cannot be read."""
    from i2i.training.inspection import findings, look_at

    section, dataset = _built(data, given)
    counts = _counts(dataset)
    if not json:
        _print_counts(counts, dataset.base)  # seen even if an image cannot be read
    images = look_at(dataset)
    unused = _skipped(section, [image.path for image in images])
    found = findings(dataset, images, size or _settings(given).size)
    if json:
        content = {"base": dataset.base, "groups": counts, "skipped": unused}
        print_json({**content, "findings": [asdict(one) for one in found]})
        return
    console = open_console()
    for line in (*map(_skipped_line, unused), *(f"{one.problem} {one.remedy}" for one in found)):
        console.print(f"- {_from_here(line)}", highlight=False, markup=False)


def sheet(
    data: Named,
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="The image to write.")] = Path("sheet.png"),
    images: Annotated[int, typer.Option(help="Most images per row.", min=1)] = 10,
    cell: Annotated[int, typer.Option(help="Side of each in pixels.", min=16)] = 96,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Draw a contact sheet: images of each group, domain and part, evenly chosen and cropped to squares."""
    from i2i.images.files import write_image
    from i2i.images.grids import grid
    from i2i.storage.files import refuse_existing
    from i2i.training.contact_sheet import blocks_of
    from i2i.training.loader import image_paths

    _, dataset = _built(data, given)
    refuse_existing([out], overwrite, image_paths(dataset))
    write_image(grid(blocks_of(dataset, images, cell), cell), out)
    open_console().print(f"{data} -> {out}", highlight=False, markup=False)


def export(
    data: Named,
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="The folder to make.")] = Path("images"),
) -> None:
    """Copy the images of a data set into folders by group, domain and part, as --data FOLDER takes them."""
    from i2i.training.image_folders import write_folders

    count = write_folders(_built(data, given)[1], out)
    open_console().print(f"{data} -> {out}: {count} images", highlight=False, markup=False)


COMMANDS = tuple(
    Command(function.__name__, function, components=("data",), only=("extra_groups",), argument="data")
    for function in (check, sheet, export)
)


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the commands; the one that ``arguments`` call gets the options of its data set."""
    app = typer.Typer(
        help="List data sets; check one, draw its contact sheet, or copy its images.", no_args_is_help=True
    )
    app.command("list")(guarded(list_))
    for command in COMMANDS:
        app.command(command.name, help=command.help)(expanded(command, arguments, within=("data",)))
    return app


def _built(data: str, given: dict[str, Any]) -> tuple[dict[str, Any], Dataset]:
    """Return the configuration of a data set, and the data set."""
    from i2i.cli.options import data_section, lay_over, note_namesake
    from i2i.models.data import build_data, joining_groups, resolve_data

    section = lay_over({"data": given.get("data", {})}, {"data": data_section(data)})["data"]
    note_namesake(section)
    choice = resolve_data({"data": section}, installed())
    groups = joining_groups(choice, _settings(given).extra_groups, installed())
    return section, build_data(choice, groups, installed())


def _settings(given: dict[str, Any]) -> RunConfig:
    """Read the run options that matter here, also those of a configuration file."""
    from i2i.config.options import validate
    from i2i.config.run import RunConfig

    return validate(RunConfig, {name: given[name] for name in ("extra_groups", "size") if name in given}, "the data")


def _counts(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the numbers of images of each group."""
    from i2i.contracts.domains import DOMAINS

    parts = {"train": dataset.train, "test": dataset.test}
    return [
        {
            "name": group,
            **{f"{name}_{domain}": len(part(group, domain)) for name, part in parts.items() for domain in DOMAINS},
            "pairs": len(dataset.pairs(group) or ()),
        }
        for group in dataset.groups
    ]


def _print_counts(counts: list[dict[str, Any]], base: str) -> None:
    table = Table("group", "train a", "train b", "test a", "test b", "pairs", box=None, padding=(0, 2, 0, 0))
    for group, *numbers in (row.values() for row in counts):
        table.add_row(group + (" (base)" if group == base else ""), *map(str, numbers))
    open_console(soft_wrap=False).print(table)


def _skipped(section: dict[str, Any], used: list[Path]) -> list[dict[str, Any]]:
    """Return which files of a folder are not used, and why."""
    from i2i.images.files import IMAGE_SUFFIXES
    from i2i.training.inspection import skipped

    if "root" not in section:
        return []
    return [
        {"reason": reason, "files": [str(path) for path in paths]}
        for reason, paths in skipped(Path(section["root"]), used, IMAGE_SUFFIXES)
    ]


def _from_here(text: str) -> str:
    """Leave the working directory out of the paths in a text."""
    return text.replace(f"{Path.cwd()}/", "")


def _skipped_line(unused: dict[str, Any]) -> str:
    files = unused["files"]
    shown = files if volume.get() is Volume.VERBOSE or len(files) <= FEW else [*files[:FEW], "..."]
    return f"{len(files)} skipped, {unused['reason']}: {', '.join(shown)}"
