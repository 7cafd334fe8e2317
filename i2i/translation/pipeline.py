"""Translating many files: images are read, translated and written at the same time, those of one size together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from threading import Lock

import torch
from PIL import Image
from torch import Tensor

from i2i.contracts.detector import AUTO
from i2i.contracts.domains import Direction
from i2i.errors import ConfigError, DataError
from i2i.images.files import QUALITY, read_image, write_image
from i2i.images.pixels import fit_short_side, to_image, to_tensor
from i2i.models.model import Model, evaluating
from i2i.translation.jobs import Job
from i2i.translation.stages import grouped, in_order, sort_numbered

CPU_PIXELS, GPU_PIXELS = 2**16, 2**20
"""Pixels of a batch where no number of images is given: on a CPU one of 256 x 256, as more at once save no time."""

MOST_WORKERS = 8
"""The most batches translated at the same time; with more cores, each gets several."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        job: The job.
        group: The group that was translated as; None is the base group.
        error: Why there is no translation; "" if there is one.
    """

    job: Job
    group: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Pipeline:
    """Translates files with one model.

    Attributes:
        model: The model.
        group: The group to translate as; None is the base group, ``"auto"`` detects that of each image.
        direction: ``a2b`` or ``b2a``.
        batch: The most images translated together; None lets their size decide.
        cores: CPU cores to use; None is as many as torch would, which obeys torchrun and ``OMP_NUM_THREADS``.
        half: Compute in bfloat16 where torch considers it safe.
        quality: Of lossy formats, from 1 to 100.
    """

    model: Model
    group: str | None = None
    direction: Direction = "a2b"
    batch: int | None = None
    cores: int | None = None
    half: bool = False
    quality: int = QUALITY
    _detecting: Lock = field(default_factory=Lock)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Translate files, and yield what became of each, in order; a translation is whole once it is there.

        An image that cannot be read, translated or written fails alone. At any time only a few images are in memory.

        Raises:
            ConfigError: An option does not fit the model, and so concerns every image.
        """
        cores = self.cores or torch.get_num_threads()
        workers = self._workers(len(jobs), cores)
        files, most = max(2, min(cores, MOST_WORKERS)), -(-len(jobs) // workers)
        ahead = 2 * workers * min(most, self._fitting(self.model.size, self.model.size))
        with ExitStack() as stack:
            stack.enter_context(evaluating(self.model.backbone))
            readers, writers = (stack.enter_context(_threads(files)) for _ in range(2))
            translators = stack.enter_context(_threads(workers, cores // workers))
            read = in_order(self._read, enumerate(jobs), readers, max(files, ahead))
            batches = grouped(read, _likeness, lambda one: min(most, self._most(one)), wait=max(2, ahead))
            translated = in_order(self._translate, batches, translators, workers + 1)
            written = in_order(self._write, chain.from_iterable(translated), writers, files + 1)
            yield from sort_numbered(written)

    def _workers(self, jobs: int, cores: int) -> int:
        """Return how many batches to translate at once: on a CPU one per core, which beats several cores per batch."""
        return max(1, min(cores, jobs, MOST_WORKERS)) if self.model.device.type == "cpu" else 2

    def _most(self, picture: _Picture) -> int:
        return 1 if picture.error else self._fitting(*picture.small.size)

    def _fitting(self, width: int, height: int) -> int:
        """Return how many images of this size a batch may have."""
        pixels = CPU_PIXELS if self.model.device.type == "cpu" else GPU_PIXELS
        return self.batch or max(1, pixels // (width * height))

    def _read(self, numbered: tuple[int, Job]) -> _Picture:
        return _attempt("read", self._reduced, _Picture(*numbered))

    def _reduced(self, picture: _Picture) -> _Picture:
        image = read_image(picture.job.source)
        small = fit_short_side(image, self.model.size, self.model.max_pixels)
        return replace(picture, small=small, full_size=image.size)

    def _translate(self, batch: list[_Picture]) -> list[_Picture]:
        """Translate a batch; if that fails, each of its images alone, so that only the culprit fails."""
        if batch[0].error:
            return batch
        try:
            return self._together(batch)
        except ConfigError:
            raise
        except Exception as error:
            if len(batch) > 1:
                return [self._translate([picture])[0] for picture in batch]
            return [replace(batch[0], error=_unforeseen(batch[0].job, "translated", error))]

    @torch.inference_mode()
    def _together(self, batch: list[_Picture]) -> list[_Picture]:
        x = torch.stack([to_tensor(picture.small) for picture in batch])
        groups = self._groups(x)
        y = torch.empty_like(x)
        for group in dict.fromkeys(groups):
            members = [index for index, one in enumerate(groups) if one == group]
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.half):
                y[members] = self.model.translate(x[members], group, self.direction)
        return [
            replace(picture, small=to_image(image), group=group)
            for picture, image, group in zip(batch, y, groups, strict=True)
        ]

    def _groups(self, x: Tensor) -> Sequence[str | None]:
        if self.group != AUTO:
            return [self.group] * len(x)
        with self._detecting:  # detectors, and reading those of the model's file, know nothing of threads
            return self.model.detect(x, self.direction)

    def _write(self, picture: _Picture) -> tuple[int, Outcome]:
        written = _attempt("written", self._stored, picture)
        return picture.number, Outcome(picture.job, picture.group, written.error)

    def _stored(self, picture: _Picture) -> _Picture:
        write_image(picture.enlarged(), picture.job.target, self.quality)
        return picture


@dataclass(frozen=True)
class _Picture:
    """An image on its way: reduced to the size that the model translates, before and after its translation."""

    number: int
    job: Job
    small: Image.Image = field(default_factory=lambda: Image.new("RGB", (1, 1)))
    full_size: tuple[int, int] = (1, 1)
    group: str | None = None
    error: str = ""

    def enlarged(self) -> Image.Image:
        """Return the translation at the size of the source."""
        full = self.full_size
        return self.small if self.small.size == full else self.small.resize(full, Image.Resampling.BICUBIC)


@contextmanager
def _threads(count: int, cores: int = 1) -> Iterator[Executor]:
    """Yield threads that compute with so many cores each; the block's end waits for what they are at, and no more."""
    before = torch.get_num_threads()
    threads = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, cores),))
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _attempt(what: str, step: Callable[[_Picture], _Picture], picture: _Picture) -> _Picture:
    """Take a step with a picture that has not failed before; what the step raises becomes the picture's error."""
    if picture.error:
        return picture
    try:
        return step(picture)
    except DataError as error:
        source = str(picture.job.source)
        return replace(picture, error=str(error) if source in str(error) else f"{source}: {error}")
    except Exception as error:
        return replace(picture, error=_unforeseen(picture.job, what, error))


def _likeness(picture: _Picture) -> object:
    return picture.number if picture.error else picture.small.size


def _unforeseen(job: Job, what: str, error: Exception) -> str:
    reason = ": ".join(filter(None, (type(error).__name__, str(error))))
    return f"{job.source} cannot be {what} ({reason}). Reduce or remove it."
