"""Translating many files: images are read, translated and written at the same time, those of one size together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, groupby
from threading import Lock

import torch
from PIL import Image
from torch import Tensor

from i2i.contracts.detector import AUTO
from i2i.contracts.domains import Direction
from i2i.errors import ConfigError, DataError
from i2i.images.files import MAX_PIXELS, QUALITY, read_image, write_image
from i2i.images.metadata import Metadata
from i2i.images.pixels import fit_short_side, fitted_size, to_image, to_tensor
from i2i.models.model import Model, evaluating
from i2i.nn.winograd import unchanging
from i2i.translation.films import MOST_FRAMES, check_film, check_length, frame_total, is_film, rewrite
from i2i.translation.jobs import Job
from i2i.translation.memory import Memory
from i2i.translation.picture import Picture, attempt, unforeseen
from i2i.translation.sheets import Sheet, attention_of
from i2i.translation.stages import grouped, in_order, sort_numbered, worker_threads
from i2i.translation.tiles import SIDE, at_once, translate_in_tiles

CPU_PIXELS, GPU_PIXELS = 2**16, 2**20
"""Pixels of a batch where no number of images is given: on a CPU one of 256 x 256, as more at once save no time."""

KEPT = 2**24
"""Pixels of a batch's sources, where those are kept to be shown."""

MOST_WORKERS = 8
"""The most batches translated at the same time; with more cores, each gets several."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        job: The job.
        group: The group that was translated as; None is the base group.
        error: Why there is no translation; "" if there is one.
        reduction: Times that the source's shorter side is longer than what was translated.
        shorter: The shorter side that was translated.
        dropped: Frames of the source that were left out.
    """

    job: Job
    group: str | None = None
    error: str = ""
    reduction: float = field(default=1.0, compare=False)
    shorter: int = field(default=1, compare=False)
    dropped: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Pipeline:
    """Translates files with one model.

    Attributes:
        model: The model.
        group: The group to translate as; None is the base group, ``"auto"`` detects that of each image.
        direction: ``a2b`` or ``b2a``.
        batch: The most images, or tiles, translated together; None lets their size decide.
        cores: CPU cores to use; None is as many as torch would, which obeys torchrun and ``OMP_NUM_THREADS``.
        half: Compute in bfloat16 where torch considers it safe.
        size: The shorter side to translate at; None is that of the training images, or with ``tiles`` the image's
            if that is larger.
        tiles: Translate one image at a time, in overlapping tiles.
        quality: Of lossy formats, from 1 to 100.
        sheet: The panels of the images to write.
        frames: Translate all frames of animated images, not only the first; those of videos always are.
        max_frames: The most frames of an animated image.
        watch: Called after each frame of a film with its job, how many are done, and the total if it is known.
        metadata: Keep transparency, EXIF tags, resolution and colour profile; see `i2i.images.metadata`.
    """

    model: Model
    group: str | None = None
    direction: Direction = "a2b"
    batch: int | None = None
    cores: int | None = None
    half: bool = False
    size: int | None = None
    tiles: bool = False
    quality: int = QUALITY
    sheet: Sheet = field(default_factory=Sheet)
    metadata: bool = True
    frames: bool = False
    max_frames: int = MOST_FRAMES
    watch: Callable[[Job, int, int | None], None] = lambda *_: None
    _detecting: Lock = field(default_factory=Lock)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Translate files, and yield what became of each, in order; a translation is whole once it is there.

        An image that cannot be read, translated or written fails alone. At any time only a few images are in memory.

        Raises:
            ConfigError: An option does not fit the model, and so concerns every image.
        """
        self.model.check_size(self.size, self.direction, any_size=self.tiles)
        self.sheet.check(self.model, self.direction)
        for job in jobs:
            check_film(job)
        runs = groupby(jobs, lambda job: is_film(job.source, self.frames))
        for is_a_film, some in ((is_a_film, list(some)) for is_a_film, some in runs):
            yield from map(self._film, some) if is_a_film else self._stills(some)

    def _stills(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        workers = self._workers(len(jobs))
        files, most = self._files(), -(-len(jobs) // workers)
        ahead = files if self.tiles else 2 * workers * min(most, self._fitting(self.model.size, self.model.size))
        with ExitStack() as stack:
            stack.enter_context(self._fixed())
            readers, writers = (stack.enter_context(worker_threads(files)) for _ in range(2))
            translators = stack.enter_context(worker_threads(workers, self._cores() // workers))
            read = in_order(self._read, enumerate(jobs), readers, max(files, ahead))
            batches = grouped(read, Picture.likeness, lambda one: min(most, self._most(one)), wait=max(2, ahead))
            translated = in_order(self._translate, batches, translators, workers + 1)
            written = in_order(self._write, chain.from_iterable(translated), writers, files + 1)
            yield from sort_numbered(written)

    def _film(self, job: Job) -> Outcome:
        return self._outcome(attempt("translated", self._rewritten, Picture(0, job)))

    def _rewritten(self, picture: Picture) -> Picture:
        """Translate a film; with ``"auto"``, its first frame decides the group of all."""
        shown = picture

        def translated(images: Iterator[Image.Image]) -> Iterator[Image.Image]:
            nonlocal shown
            first = next(images, None)
            if first is None:
                return
            group = self._group_of(first)
            shown = replace(self._frame(picture, first), group=group)
            yield from replace(self, group=group)._each_frame(picture, chain([first], images))

        check_length(picture.job.source, self.max_frames)
        rewrite(picture.job, translated, self.quality)
        return shown

    def _frame(self, film: Picture, image: Image.Image) -> Picture:
        small = self._fitted(image)
        source = image if self.sheet.source or self.sheet.heatmap else None
        return replace(film, small=small, full_size=image.size, shorter=min(small.size), source=source)

    def _each_frame(self, film: Picture, images: Iterable[Image.Image]) -> Iterator[Image.Image]:
        total, workers = frame_total(film.job.source), 1 if self.tiles else self._workers(MOST_WORKERS)
        with self._fixed(), worker_threads(workers, self._cores() // workers) as translators:
            pictures = (self._frame(film, image) for image in images)
            batches = grouped(pictures, Picture.likeness, self._most, wait=CPU_PIXELS)
            translated = chain.from_iterable(in_order(self._translate, batches, translators, workers + 1))
            for number, picture in enumerate(translated, start=1):
                if picture.error:
                    raise DataError(picture.error)
                yield self._arranged(picture)
                self.watch(film.job, number, total)

    @contextmanager
    def _fixed(self) -> Iterator[None]:
        """Translate with weights that do not change in the block."""
        with evaluating(self.model.backbone), unchanging(self.model.backbone):
            yield

    @cached_property
    def _memory(self) -> Memory:
        return Memory(self.model, self.direction, 0.5 if self.half else 1.0)

    def _cores(self) -> int:
        return self.cores or torch.get_num_threads()

    def _files(self) -> int:
        """Return how many files to read and write at once: images for tiles are large."""
        return 1 if self.tiles else max(2, min(self._cores(), MOST_WORKERS))

    def _workers(self, jobs: int) -> int:
        """Return how many batches to translate at once: on a CPU one per core, which beats several cores per batch.

        The threads for tiles share one image.
        """
        if self.tiles:
            return 1
        return max(1, min(self._cores(), jobs, MOST_WORKERS)) if self.model.device.type == "cpu" else 2

    def _most(self, picture: Picture) -> int:
        if picture.error or self.tiles:
            return 1
        most = self._fitting(*picture.small.size)
        return (
            most
            if picture.source is None
            else max(1, min(most, KEPT // (picture.source.width * picture.source.height)))
        )

    def _fitting(self, width: int, height: int) -> int:
        """Return how many images of this size a batch may have."""
        pixels = CPU_PIXELS if self.model.device.type == "cpu" else GPU_PIXELS
        if self.batch is not None:
            pixels = self._memory.limit(self.batch * width * height)
        return max(1, pixels // (width * height))

    def _read(self, numbered: tuple[int, Job]) -> Picture:
        return attempt("read", self._reduced, Picture(*numbered))

    def _reduced(self, picture: Picture) -> Picture:
        image = read_image(picture.job.source)
        small = self._fitted(image)
        return replace(picture, small=small, full_size=image.size, shorter=min(small.size))

    def _fitted(self, image: Image.Image) -> Image.Image:
        """Return an image at the size that it is translated at."""
        size, limit, remedy = self.size or self.model.size, self.model.pixel_limit(self.size), "Use --tiles."
        if self.tiles:
            size, limit, remedy = self.size or max(size, min(image.size)), MAX_PIXELS, "Lower --max-pixels."
        width, height = fitted_size(*image.size, size, limit)
        self._memory.check(at_once(self.model, width, height) if self.tiles else width * height, remedy)
        return fit_short_side(image, size, limit)

    def _translate(self, batch: list[Picture]) -> list[Picture]:
        """Translate a batch; if that fails, each of its images alone, so that only the culprit fails."""
        if batch[0].error:
            return batch
        try:
            if self.tiles:
                return [self._in_tiles(*batch)]
            with self._memory.taken(sum(picture.small.width * picture.small.height for picture in batch)):
                return self._together(batch)
        except ConfigError:
            raise
        except Exception as error:
            if len(batch) > 1:
                return [self._translate([picture])[0] for picture in batch]
            return [replace(batch[0], error=unforeseen(batch[0].job, "translated", error))]

    @torch.inference_mode()
    def _together(self, batch: list[Picture]) -> list[Picture]:
        x = torch.stack([to_tensor(picture.small) for picture in batch])
        groups = self._groups(x)
        y = torch.empty_like(x)
        for group in dict.fromkeys(groups):
            members = [index for index, one in enumerate(groups) if one == group]
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.half):
                y[members] = self.model.translate(x[members], group, self.direction, min(x.shape[-2:]))
        translated = zip(batch, map(to_image, y), groups, strict=True)
        return [self._made(picture, image, group) for picture, image, group in translated]

    def _in_tiles(self, picture: Picture) -> Picture:
        group = self._group_of(picture.small)
        with worker_threads(self._cores()) as threads:
            how = self._fitting(SIDE, SIDE), self.half, threads
            translation = translate_in_tiles(self.model, picture.small, group, self.direction, *how)
        return self._made(picture, translation, group)

    def _made(self, picture: Picture, translation: Image.Image, group: str | None) -> Picture:
        attention = attention_of(self.model, picture.small, group, self.direction) if self.sheet.heatmap else None
        return replace(picture, small=translation, group=group, attention=attention)

    def _group_of(self, image: Image.Image) -> str | None:
        return self._groups(to_tensor(fit_short_side(image, self.model.size))[None])[0]

    def _groups(self, x: Tensor) -> Sequence[str | None]:
        if self.group != AUTO:
            return [self.group] * len(x)
        with self._detecting:  # detectors, and reading those of the model's file, know nothing of threads
            return self.model.detect(x, self.direction)

    def _write(self, picture: Picture) -> tuple[int, Outcome]:
        written = attempt("written", self._stored, picture)
        return picture.number, self._outcome(written)

    def _outcome(self, picture: Picture) -> Outcome:
        reduction = min(picture.full_size) / picture.shorter
        return Outcome(picture.job, picture.group, picture.error, reduction, picture.shorter, picture.frames - 1)

    def _stored(self, picture: Picture) -> Picture:
        """Write a translation; what it keeps of its source is read now, as full opacities would fill the memory."""
        metadata = Metadata.of(picture.job.source) if self.metadata else Metadata()
        image = metadata.added_to(self._arranged(picture), picture.job.target.suffix)
        write_image(image, picture.job.target, self.quality, **metadata.options())
        return replace(picture, frames=metadata.frames)

    def _arranged(self, picture: Picture) -> Image.Image:
        """Return what is written in place of an image or frame."""
        if self.sheet == Sheet():
            return picture.enlarged()
        source = picture.source or read_image(picture.job.source)
        return self.sheet.arrange(source, picture.attention, picture.enlarged())
