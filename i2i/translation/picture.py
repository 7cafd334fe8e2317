"""An image on its way through the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.translation.jobs import Job


@dataclass(frozen=True)
class Picture:
    """An image on its way: reduced to the size that the model translates, before and after its translation.

    Attributes:
        number: Its place among the jobs.
        job: The job.
        small: What is translated, then the translation.
        full_size: Width and height of the source.
        shorter: The shorter side that is translated.
        frames: How many the source has, as far as known.
        source: The source, if it cannot be read again to be shown.
        attention: The generator's attention, if it is to be shown.
        group: The group it was translated as; None is the base group.
        error: Why it goes no further; "" if it does.
    """

    number: int
    job: Job
    small: Image.Image = field(default_factory=lambda: Image.new("RGB", (1, 1)))
    full_size: tuple[int, int] = (1, 1)
    shorter: int = 1
    frames: int = 1
    source: Image.Image | None = None
    attention: Image.Image | None = None
    group: str | None = None
    error: str = ""

    def enlarged(self) -> Image.Image:
        """Return the translation at the size of the source."""
        full = self.full_size
        return self.small if self.small.size == full else self.small.resize(full, Image.Resampling.BICUBIC)

    def likeness(self) -> object:
        """Return what pictures that can be translated together have in common."""
        return self.number if self.error else self.small.size


def attempt(what: str, step: Callable[[Picture], Picture], picture: Picture) -> Picture:
    """Take a step with a picture that has not failed before; what the step raises becomes the picture's error.

    Raises:
        ConfigError: An option is at fault, and so every picture would be.
    """
    if picture.error:
        return picture
    try:
        return step(picture)
    except DataError as error:
        source = str(picture.job.source)
        return replace(picture, error=str(error) if source in str(error) else f"{source}: {error}")
    except ConfigError:
        raise
    except Exception as error:
        return replace(picture, error=unforeseen(picture.job, what, error))


def unforeseen(job: Job, what: str, error: Exception) -> str:
    """Describe an error that nobody foresaw."""
    reason = ": ".join(filter(None, (type(error).__name__, str(error))))
    return f"{job.source} cannot be {what} ({reason}). Reduce or remove it."
