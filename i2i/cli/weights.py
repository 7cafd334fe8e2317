"""``i2i weights``: pretrained networks on this machine, and how to get the others."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from i2i.cli.help import Listing
from i2i.cli.output import JSON, open_console, open_remarks, print_json
from i2i.contracts.weights import FoundWeights, WeightsSource
from i2i.pretrained.weights import download, sources, state_of
from i2i.registry.registry import installed

app = typer.Typer(cls=Listing, help="List pretrained networks, or download one.")
_COLOURS = {"verified": "green", "damaged": "red", "missing": "yellow"}


@app.command("list")
def list_(json: JSON = False) -> None:
    """Show every source of weights: its use, its file and whether that is verified, or how to get it."""
    if json:
        print_json([_entry(source) for source in sources(installed())])
        return
    console = open_console(soft_wrap=False)
    for network, group in groupby(sources(installed()), key=lambda source: source.network):
        network_sources = list(group)
        console.print(f"[bold]{escape(network)}[/]: {escape(network_sources[0].enables)}", highlight=False)
        console.print(_table(network_sources))


@app.command("download")
def download_(name: Annotated[str, typer.Argument(help="A source or a network that the list names.")]) -> None:
    """Fetch weights from their official address into torch's cache, and verify them."""
    console, remarks = open_console(soft_wrap=False), open_remarks(soft_wrap=False)
    columns = (TextColumn(escape(name)), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=remarks, disable=remarks.quiet or not remarks.is_terminal) as bar:
        task = bar.add_task(name)
        path = download(installed(), name, lambda done, total: bar.update(task, completed=done, total=total or None))
    console.print(str(path), soft_wrap=True, highlight=False)


def _table(network_sources: list[WeightsSource]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    for _ in range(3):
        table.add_column(overflow="fold")  # fold, since a truncated path is useless
    for source in network_sources:
        path = source.locate()
        state = _state(source, path)
        where = str(path) if path else source.remedy
        table.add_row(escape(source.name), f"[{_COLOURS.get(state, 'default')}]{state}[/]", escape(where))
    return table


def _entry(source: WeightsSource) -> dict[str, Any]:
    path = source.locate()
    where = {"network": source.network, "enables": source.enables, "file": path}
    return {"name": source.name, **where, "state": _state(source, path), "remedy": "" if path else source.remedy}


def _state(source: WeightsSource, path: Path | None) -> str:
    if path is not None and source.size not in (0, path.stat().st_size):
        return "damaged"
    return state_of(FoundWeights(path, source) if path else None)
