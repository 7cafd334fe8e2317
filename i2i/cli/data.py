"""``i2i data``: list data sets, and check one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from i2i.cli.command import guarded
from i2i.cli.output import open_console
from i2i.errors import DataError
from i2i.registry.registry import installed, summary

app = typer.Typer(help="List data sets, or check one.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show the data sets that plugins provide."""
    from i2i.contracts.dataset import Dataset

    registry = installed()
    table = Table("data set", "description", "from", box=None, padding=(0, 2, 0, 0))
    for name in registry.names(Dataset):
        table.add_row(name, summary(registry.get(Dataset, name)), registry.provider(Dataset, name))
    open_console(soft_wrap=False).print(table)


@app.command()
@guarded
def check(
    data: Annotated[str, typer.Argument(help="A data set by name, or a folder of images.")],
) -> None:
    """Open every image, and count them by group; status 2 when any cannot be read."""
    from i2i.cli.options import data_section, note_namesake
    from i2i.models.data import build_data, resolve_data
    from i2i.training.loader import broken_images

    section = data_section(data)
    note_namesake(section)
    choice = resolve_data({"data": section}, installed())
    dataset = build_data(choice, installed().groups_of(choice.component.name), installed())
    table = Table("group", "train a", "train b", "test a", "test b", "pairs", box=None, padding=(0, 2, 0, 0))
    for group in dataset.groups:
        counts = [len(part(group, domain)) for part in (dataset.train, dataset.test) for domain in ("a", "b")]
        base = " (base)" if group == dataset.base else ""
        table.add_row(group + base, *map(str, counts), str(len(dataset.pairs(group) or ())))
    open_console(soft_wrap=False).print(table)
    problems = broken_images(dataset)
    if problems:
        raise DataError("\n".join(problems))
