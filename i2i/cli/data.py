"""``i2i data``: list data sets, and check one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from i2i.cli.command import guarded
from i2i.cli.output import JSON, open_console, print_json
from i2i.errors import DataError
from i2i.registry.registry import installed, summary

app = typer.Typer(help="List data sets, or check one.", no_args_is_help=True)


@app.command("list")
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
