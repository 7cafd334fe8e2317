"""``i2i groups``: the groups of a model, which come and go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from i2i.errors import ConfigError
from i2i.plugins import installed

if TYPE_CHECKING:
    from i2i.groups import Stored

app = typer.Typer(help="List, add, export, attach and remove the groups of a model.", no_args_is_help=True)

ModelPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a .safetensors model.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the changed model.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Change RUN itself; with --out, replace what that holds.")]


@app.command("list")
def list_(run: ModelPath) -> None:
    """Show the groups of a model, and what each has for itself: bytes, and share of the model."""
    from i2i.groups import open_model, weigh

    stored = open_model(run, installed())
    table = Table("group", "own bytes", "of the model", "to translate", box=None, padding=(0, 2, 0, 0))
    for group in (stored.base, *stored.groups):
        part = stored.part(group)
        size, used = weigh(part.values()), weigh(t for name, t in part.items() if name.startswith("generators."))
        base = " (base)" if group == stored.base else ""
        table.add_row(group + base, str(size), f"{size / stored.size:.1%}", f"{used / stored.size:.1%}")
    Console().print(table)


@app.command()
def export(
    run: ModelPath,
    group: Annotated[str, typer.Argument(help="The group.")],
    out: Annotated[Path | None, typer.Option(help="The file. \\[default: groups/GROUP.safetensors in RUN]",
                                             show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:  # fmt: skip
    """Write what one group has for itself into a small file, which attach puts into another copy of the same base."""
    from i2i.groups import GROUPS, open_model
    from i2i.groups import export as write

    folder = run if run.is_dir() else run.parent
    target = out or folder / GROUPS / f"{group}.safetensors"
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists already. Choose another --out, or replace it with --overwrite.")
    stored = open_model(run, installed())
    size = write(stored, group, target)
    _say(f"{target}: {size} bytes, {size / stored.size:.1%} of the model")


@app.command()
def attach(
    run: ModelPath,
    file: Annotated[Path, typer.Argument(help="A file that export wrote.")],
    name: Annotated[str | None, typer.Option(help="Another name for the group.", show_default=False)] = None,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Put an exported group into another copy of the model it comes from; all other groups stay as they are."""
    from i2i.groups import attach as put
    from i2i.groups import open_model

    _keep(put(open_model(run, installed()), file, name), run, out, overwrite)


@app.command()
def remove(
    run: ModelPath,
    group: Annotated[str, typer.Argument(help="The group.")],
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Take a group out of a model; all other groups stay as they are."""
    from i2i.groups import open_model

    _keep(open_model(run, installed()).without(group), run, out, overwrite)


def _keep(stored: Stored, run: Path, out: Path | None, overwrite: bool) -> None:
    """Write a changed model to a new folder, or over the old one."""
    from i2i.run import keep

    if out is None and not overwrite:
        raise ConfigError(f"Say where the changed model goes: --out FOLDER, or --overwrite to change {run} itself.")
    file = keep(stored, run, out, overwrite)
    _say(f"{file}: {', '.join((stored.base, *stored.groups))}")


def _say(what: str) -> None:
    Console(soft_wrap=True).print(what, highlight=False, markup=False)
