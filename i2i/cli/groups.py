"""``i2i groups``: list, add, export, attach and remove the groups of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from i2i.cli import training
from i2i.cli.command import Command, expanded, guarded
from i2i.cli.output import JSON, open_console, print_json
from i2i.errors import ConfigError
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.groups.stored import StoredModel

ModelPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a .safetensors model.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the changed model.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Change RUN itself; with --out, replace what that holds.")]


def list_(run: ModelPath, json: JSON = False) -> None:
    """Show the groups of a model, with the bytes of each and its share of the model."""
    from i2i.groups.stored import open_model, weigh

    stored = open_model(run, installed())
    sizes: dict[str, tuple[int, int]] = {}
    for group in (stored.base, *stored.groups):
        part = stored.part(group)
        used = weigh(tensor for name, tensor in part.items() if name.startswith("generators."))
        sizes[group] = weigh(part.values()), used
    if json:
        groups = [{"name": group, "bytes": size, "to_translate": used} for group, (size, used) in sizes.items()]
        print_json({"base": stored.base, "bytes": stored.size, "groups": groups})
        return
    table = Table("group", "bytes", "of the model", "to translate", box=None, padding=(0, 2, 0, 0))
    for group, (size, used) in sizes.items():
        base = " (base)" if group == stored.base else ""
        table.add_row(group + base, str(size), f"{size / stored.size:.1%}", f"{used / stored.size:.1%}")
    open_console(soft_wrap=False).print(table)


def export(
    run: ModelPath,
    group: Annotated[str, typer.Argument(help="The group.")],
    out: Annotated[Path | None, typer.Option(help="The file, or a folder for it. \\[default: GROUP.safetensors]",
                                             show_default=False)] = None,
    judges: Annotated[bool, typer.Option(help="Include the group's discriminators, which further training needs and "
                                         "translating does not.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:  # fmt: skip
    """Write one group's tensors into a file, which attach puts into another copy of the same base."""
    from i2i.groups.stored import export as write
    from i2i.groups.stored import open_model
    from i2i.storage.files import inside, refuse_existing
    from i2i.storage.run_folder import model_file

    target = out if out is not None and not out.is_dir() else inside(out or Path(), f"{group}.safetensors")
    refuse_existing([target], overwrite, [model_file(run)])
    stored = open_model(run, installed())
    size = write(stored, group, target, judges)
    _say(f"{target}: {size} bytes, {size / stored.size:.1%} of the model")


def attach(
    run: ModelPath,
    file: Annotated[Path, typer.Argument(help="A file that export wrote.")],
    name: Annotated[str | None, typer.Option(help="Another name for the group.", show_default=False)] = None,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Put an exported group into another copy of the model it comes from; all other groups stay unchanged."""
    from i2i.groups.stored import attach as put
    from i2i.groups.stored import open_model

    _keep(put(open_model(run, installed()), file, name), run, out, overwrite)


def remove(
    run: ModelPath,
    group: Annotated[str, typer.Argument(help="The group.")],
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Remove a group from a model; all other groups stay unchanged."""
    from i2i.groups.stored import open_model

    _keep(open_model(run, installed()).without(group), run, out, overwrite)


def add(
    run: ModelPath,
    name: Annotated[str, typer.Argument(help="What the new group is called.")],
    *,
    given: dict[str, Any],
    data: Annotated[Path | None, typer.Option(help="Folder with the group's trainA and trainB. \\[default: the group "
                                              "of that name that a plugin brings]", show_default=False)] = None,
    train_trunk: Annotated[bool, typer.Option("--train-trunk", help="Keep training what all groups share, with the "
                                              "base group's data.")] = False,
    out: Annotated[Path | None, typer.Option(help="The new run folder.", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that --out holds.")] = False,
    stop_after: training.StopAfter = None,
) -> None:  # fmt: skip
    """Train one more group for a model with groups; the trunk and all other groups keep every bit.

    Resume after a stop with: i2i transfer --resume OUT.
    """
    from i2i.runs import run as runs

    if out is None:
        then = f"i2i groups export OUT {name}, and i2i groups attach {run} {name}.safetensors --overwrite"
        raise ConfigError(
            f"Training needs a separate folder: --out OUT. To put the group into {run} afterwards: {then}"
        )
    given = {**training.on_base(run, given, ("transfer",)), "stages": ["transfer"], "data": training.data_of(run)}
    added = {"group": name, "train_trunk": train_trunk, **({} if data is None else {"root": str(data.absolute())})}
    training.execute(runs.create_run(out, {**given, "added": added}, installed(), overwrite), None, stop_after)


ADD = Command("add", add, components=("transfer",), lacking=("steps", "extra_groups", "size"))


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the commands; ``add`` gets the options of its model's transfer if ``arguments`` call it."""
    app = typer.Typer(help="List, add, export, attach and remove the groups of a model.", no_args_is_help=True)
    app.command("list")(guarded(list_))
    app.command(ADD.name, help=ADD.help)(expanded(ADD, arguments, within=("groups",)))
    for command in (export, attach, remove):
        app.command()(guarded(command))
    return app


def _keep(stored: StoredModel, run: Path, out: Path | None, overwrite: bool) -> None:
    """Write a changed model to a new folder, or overwrite the old one."""
    from i2i.groups.files import keep

    if out is None and not overwrite:
        raise ConfigError(f"Say where the changed model goes: --out FOLDER, or --overwrite to change {run} itself.")
    file = keep(stored, run, out, overwrite)
    _say(f"{file}: {', '.join((stored.base, *stored.groups))}")


def _say(what: str) -> None:
    open_console().print(what, highlight=False, markup=False)
