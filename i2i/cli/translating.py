"""``i2i translate``: translate files, folders and globs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from i2i.cli.output import Volume, open_console, open_remarks, volume
from i2i.cli.panels import in_panels
from i2i.cli.translate_panels import Choice, Computing, Output, Sharpness
from i2i.contracts.detector import AUTO, GroupDetector
from i2i.errors import ConfigError, DataError
from i2i.registry.registry import installed

if TYPE_CHECKING:
    from i2i.models.model import Model
    from i2i.translation.jobs import Job
    from i2i.translation.pipeline import Outcome, Pipeline


@in_panels
def translate(
    model: Annotated[Path, typer.Argument(help="A run folder or a .safetensors model.")],
    images: Annotated[list[str], typer.Argument(help="Image files, folders, globs, or - for standard input.")],
    choice: Choice,
    output: Output,
    sharpness: Sharpness,
    computing: Computing,
) -> None:
    """Translate images of any size; each keeps its size and name.

    An image that fails is reported, and the others go on. Under torchrun, each process translates its share.
    """
    from i2i.compute.processes import add_up
    from i2i.translation.streams import STREAM, streams_as_files

    place = output.out or (STREAM if images == [STREAM] else "translated")
    with streams_as_files(images, place, output.suffix) as (patterns, folder):
        console, remarks = (start(error=place == STREAM) for start in (open_console, open_remarks))
        jobs = _jobs(remarks, patterns, folder, choice, output)
        blocked = _blocked(jobs) if choice.skip_existing else set()
        jobs, failed = [job for job in jobs if job not in blocked], len(blocked)
        if jobs:
            pipeline = _pipeline(_model(model, choice, computing.device), choice, output, sharpness, computing)
            failed += _report(console, remarks, pipeline, jobs)
        total, lost = add_up(len(jobs) + len(blocked), "images"), add_up(failed, "failures")
        if lost:
            raise DataError(f"{total - lost} of {total} images translated.")


class _Frames:
    """A bar for the frames of a film."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def __call__(self, job: Job, done: int, total: int | None) -> None:
        """Show how many frames are done."""
        if self._task is None:
            self._task = self._progress.add_task(job.source.name)
        self._progress.update(self._task, completed=done, total=total)


class _Speed(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "")


def _jobs(remarks: Console, patterns: Sequence[str], out: str, choice: Choice, output: Output) -> Sequence[Job]:
    """Return this process's share of the work, without what is done."""
    from i2i.compute.processes import share
    from i2i.storage.files import refuse_existing, refuse_inputs
    from i2i.translation.jobs import find_sources, plan

    if output.overwrite and choice.skip_existing:
        raise ConfigError("--overwrite and --skip-existing contradict each other. Leave one of them out.")
    sources = find_sources(patterns, out, choice.recursive)
    jobs = share(plan(sources, out, output.suffix))
    targets = [job.target for job in jobs]
    if not choice.skip_existing:
        refuse_existing(targets, output.overwrite, sources)
        return jobs
    refuse_inputs(targets, sources)
    left = [job for job in jobs if not job.target.is_file()]
    if len(left) < len(jobs):
        remarks.print(f"{len(jobs) - len(left)} of {len(jobs)} images have a translation already.", highlight=False)
    return left


def _blocked(jobs: Sequence[Job]) -> set[Job]:
    """Report the images whose translations cannot be written, and return them."""
    from i2i.storage.files import obstacle

    reasons = {job: reason for job in jobs if (reason := obstacle(job.target))}
    for job, reason in reasons.items():
        open_console(error=True).print(f"{job.source}: {reason}", highlight=False, markup=False)
    return set(reasons)


def _model(path: Path, choice: Choice, device: str) -> Model:
    from i2i.compute.allocator import tune_allocator
    from i2i.compute.devices import choose_device
    from i2i.models.checkpoint import load

    chosen = choose_device(device)
    tune_allocator()
    model = load(path)
    model.check_group(choice.group)
    if choice.detector is not None:
        model.detector = _detector(choice.detector, choice.group)
    model.backbone.to(chosen)
    return model


def _pipeline(model: Model, choice: Choice, output: Output, sharpness: Sharpness, computing: Computing) -> Pipeline:
    from i2i.translation.pipeline import Pipeline
    from i2i.translation.sheets import Sheet

    model.max_pixels = sharpness.max_pixels
    return Pipeline(
        model,
        choice.group,
        choice.direction,
        computing.batch,
        computing.threads,
        half=computing.precision == "bf16",
        size=sharpness.size,
        tiles=sharpness.tiles,
        quality=output.quality,
        sheet=Sheet(output.side_by_side, output.heatmap),
        metadata=not output.no_metadata,
        frames=choice.frames,
        max_frames=choice.max_frames,
    )


def _detector(name: str, group: str | None) -> GroupDetector:
    if group != AUTO:
        raise ConfigError(f"--detector {name} works only with --group {AUTO}. Add that, or leave it out.")
    return installed().get(GroupDetector, name)()


def _report(console: Console, remarks: Console, pipeline: Pipeline, jobs: Sequence[Job]) -> int:
    """Translate, showing what becomes of each image, and a bar on a terminal; return how many failed.

    Failures and what may be wrong with translations are printed in any case; ``remarks`` has the rest.
    """
    from i2i.translation.streams import name_streams
    from i2i.translation.tally import Tally

    errors, tally = open_console(error=True), Tally(pipeline.model.size, len(jobs))
    columns = BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn()
    try:
        shown = remarks.is_terminal and not remarks.quiet
        with Progress(*columns, console=remarks, transient=True, disable=not shown) as progress:
            watching = replace(pipeline, watch=_Frames(progress))
            for outcome in progress.track(watching.run(jobs), len(jobs)):
                tally.add(outcome)
                line = outcome.error or _line(outcome, pipeline.group == AUTO)
                (errors if outcome.error else remarks).print(name_streams(line), highlight=False, markup=False)
    except KeyboardInterrupt:
        made = tally.done - tally.failed
        errors.print(f"{made} of {len(jobs)} images translated. Go on with --skip-existing.", highlight=False)
        raise
    for note in tally.notes():
        console.print(note, highlight=False)
    return tally.failed


def _line(outcome: Outcome, detected: bool) -> str:
    """Describe a translation; with ``--verbose`` also the shorter side that was translated."""
    facts = [str(outcome.group)] * detected + [f"at {outcome.shorter} px"] * (volume.get() is Volume.VERBOSE)
    return f"{outcome.job.source} -> {outcome.job.target}" + (f" ({', '.join(facts)})" if facts else "")
