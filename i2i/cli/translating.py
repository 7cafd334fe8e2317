"""``i2i translate``: translate files, folders and globs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from i2i.cli.output import open_console
from i2i.contracts.detector import AUTO, GroupDetector
from i2i.errors import ConfigError, DataError
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.models.model import Model
    from i2i.translation.jobs import Job
    from i2i.translation.pipeline import Outcome


def translate(
    model: Annotated[Path, typer.Argument(help="A run folder or a .safetensors model.")],
    images: Annotated[list[str], typer.Argument(help="Image files, folders of images, globs, or - for standard "
                                                "input.")],
    group: Annotated[str | None, typer.Option(help="Translate as this group. \\[default: the base group] With auto "
                                              "each image decides.")] = None,
    detector: Annotated[str | None, typer.Option(help="With --group auto: the detector of groups, from a plugin. "
                                                 "\\[default: the model's group head]")] = None,
    out: Annotated[str | None, typer.Option(help="Folder for the translations, one image file, or - for standard "
                                            "output. \\[default: translated; for standard input, -]",
                                            show_default=False)] = None,
    direction: Annotated[Literal["a2b", "b2a"], typer.Option(help="Which way.")] = "a2b",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing translations.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave out images that have a translation: "
                                                "goes on where a batch stopped.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Include subfolders; translations keep them.")] = False,
    format_: Annotated[Literal["jpg", "png", "webp", "avif", "tif", "bmp"] | None, typer.Option(
        "--format", help="Format of the translations. \\[default: that of each image]")] = None,
    quality: Annotated[int, typer.Option(help="Of JPEG, WebP and AVIF.", min=1, max=100)] = 95,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[Literal["32", "bf16"], typer.Option(help="bf16 computes in bfloat16.")] = "32",
    batch: Annotated[int | None, typer.Option(help="Images translated together. \\[default: by their size]",
                                              min=1)] = None,
    threads: Annotated[int | None, typer.Option(help="CPU cores to use. \\[default: all]", min=1)] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Most pixels of an image at the size it is translated at; "
                                                   "bounds the memory. \\[default: 16 times the training images']",
                                                   min=1, show_default=False)] = None,
) -> None:  # fmt: skip
    """Translate images of any size; each keeps its size and name.

    An image that fails is reported, and the others go on. Under torchrun, each process translates its share.
    """
    from i2i.compute.processes import add_up
    from i2i.translation.streams import STREAM, streams_as_files

    place = out or (STREAM if images == [STREAM] else "translated")
    suffix = None if format_ is None else f".{format_}"
    with streams_as_files(images, place, suffix) as (patterns, folder):
        console = open_console(error=place == STREAM)
        jobs = _jobs(console, patterns, folder, suffix, recursive, overwrite, skip_existing)
        failed = 0
        if jobs:
            from i2i.translation.pipeline import Pipeline

            loaded = _model(model, group, detector, device)
            loaded.max_pixels = max_pixels
            pipeline = Pipeline(loaded, group, direction, batch, threads, precision == "bf16", quality)
            failed = _report(console, pipeline.run(jobs), len(jobs), group == AUTO)
        total, lost = add_up(len(jobs), "images"), add_up(failed, "failures")
        if lost:
            raise DataError(f"{total - lost} of {total} images translated.")


class _Speed(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "")


def _jobs(
    console: Console,
    patterns: Sequence[str],
    out: str,
    suffix: str | None,
    recursive: bool,
    overwrite: bool,
    skip_existing: bool,
) -> Sequence[Job]:
    """Return this process's share of the work, without what is done."""
    from i2i.compute.processes import share
    from i2i.storage.files import refuse_existing
    from i2i.translation.jobs import find_sources, plan

    if overwrite and skip_existing:
        raise ConfigError("--overwrite and --skip-existing contradict each other. Leave one of them out.")
    sources = find_sources(patterns, out, recursive)
    jobs = share(plan(sources, out, suffix))
    left = [job for job in jobs if not job.target.exists()] if skip_existing else jobs
    if len(left) < len(jobs):
        console.print(f"{len(jobs) - len(left)} of {len(jobs)} images have a translation already.", highlight=False)
    refuse_existing((job.target for job in left), overwrite, sources)
    return left


def _model(path: Path, group: str | None, detector: str | None, device: str) -> Model:
    from i2i.compute.allocator import tune_allocator
    from i2i.compute.devices import choose_device
    from i2i.models.checkpoint import load

    chosen = choose_device(device)
    tune_allocator()
    model = load(path)
    model.check_group(group)
    if detector is not None:
        model.detector = _detector(detector, group)
    model.backbone.to(chosen)
    return model


def _detector(name: str, group: str | None) -> GroupDetector:
    if group != AUTO:
        raise ConfigError(f"--detector {name} works only with --group {AUTO}. Add that, or leave it out.")
    return installed().get(GroupDetector, name)()


def _report(console: Console, outcomes: Iterable[Outcome], total: int, detected: bool) -> int:
    """Show what becomes of each image, and a bar on a terminal; return how many failed."""
    errors, failed, done = open_console(error=True), 0, 0
    columns = BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            for outcome in progress.track(outcomes, total):
                done += 1
                failed += bool(outcome.error)
                shown = errors if outcome.error else console
                shown.print(outcome.error or _line(outcome, detected), highlight=False, markup=False)
    except KeyboardInterrupt:
        errors.print(f"{done - failed} of {total} images translated. Go on with --skip-existing.", highlight=False)
        raise
    return failed


def _line(outcome: Outcome, detected: bool) -> str:
    return f"{outcome.job.source} -> {outcome.job.target}" + (f" ({outcome.group})" if detected else "")
