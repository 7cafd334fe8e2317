"""``i2i import`` and ``i2i export``: other projects' checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from i2i.cli.output import open_console, open_remarks
from i2i.registry.registry import installed


def import_(
    path: Annotated[Path, typer.Argument(help="A checkpoint file of another project, or the folder with its files.")],
    out: Annotated[Path, typer.Option(help="The run folder to make.")] = Path("runs/imported"),
    size: Annotated[int | None, typer.Option(help="Side of its training images in pixels; most files do not say. "
                                                  "\\[default: the published size]", min=16)] = None,
    data: Annotated[str | None, typer.Option(help="The data for further training: a folder or a name.",
                                             metavar="DATA")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that --out holds.")] = False,
) -> None:  # fmt: skip
    """Turn another project's checkpoint into a run folder that can translate and be trained further.

    The format is recognised; i2i plugins lists all formats. Code in the files is never run.
    """
    from i2i.cli.options import data_section, note_namesake
    from i2i.exchange.importing import import_checkpoint

    section = data_section(data) if data else None
    note_namesake(section or {})
    arrival = import_checkpoint(path, out, installed(), size=size, data=section, overwrite=overwrite)
    console, remarks = open_console(), open_remarks()
    if arrival.sources != (path,):
        remarks.print(f"read: {', '.join(map(str, arrival.sources))}", highlight=False, markup=False)
    for note in arrival.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(_summary(arrival), highlight=False, markup=False)


def export(
    model: Annotated[Path, typer.Argument(help="A run folder or a .safetensors model.")],
    format_: Annotated[str | None, typer.Option("--format", help="Another project's format, by name. \\[default: "
                                                "i2i's own, slim]", metavar="NAME", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files, or the file where there is only one.")] = Path("."),
    group: Annotated[str | None, typer.Option(help="Export this group alone, as a model without groups.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:  # fmt: skip
    """Write a model as a small file for sharing, or as the checkpoint files that another project loads.

    The small file holds half precision, and no pretrained networks: what trains on finds them on its machine.
    """
    from i2i.contracts.checkpoint_format import CheckpointFormat
    from i2i.exchange.exporting import export_checkpoint, export_slim
    from i2i.models.checkpoint import load
    from i2i.storage.files import inside
    from i2i.storage.run_folder import model_file

    registry, console = installed(), open_console()
    sources = [model_file(model)]
    if format_ is None:
        file = inside(out, f"{group or model.resolve().stem}.safetensors") if out.is_dir() or not out.suffix else out
        export_slim(load(model), file, group, overwrite, sources)
        console.print(f"{model} -> {file}: {_content(file)}", highlight=False, markup=False)
        return
    registry.get(CheckpointFormat, format_)  # refuse an unknown name before loading the model
    for file in export_checkpoint(load(model, judges=True), format_, out, registry, group, overwrite, sources):
        console.print(f"{model} -> {file}", highlight=False, markup=False)


def _content(file: Path) -> str:
    """Describe a slim file: its size, and what it leaves out."""
    from i2i.models.description import read_model_description

    titles = dict.fromkeys(part.title for part in read_model_description(file).left_out)
    without = f", without {', '.join(titles)}" if titles else ""
    return f"{file.stat().st_size / 1e6:.1f} MB{without}"


def _summary(arrival: Any) -> str:
    config, groups = arrival.model.components.config, ", ".join(arrival.model.groups)
    return (
        f"{arrival.format}: {config.backbone['name']} at {config.size} px, {config.backbone['channels']} channels, "
        f"groups {groups} -> {arrival.file}"
    )
