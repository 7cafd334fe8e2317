"""Animated images: GIF, WebP and APNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence

from i2i.errors import ConfigError, DataError
from i2i.images.colours import to_srgb
from i2i.images.files import open_image
from i2i.images.metadata import frames_in, opacity
from i2i.storage.files import whole_file

ANIMATED_SUFFIXES = (".gif", ".webp", ".png", ".apng")

MAX_PIXELS = 2**28
"""Most pixels of all frames, 268 million: animations are written from memory, and a small file can hold many."""


@dataclass(frozen=True)
class Timing:
    """When the frames of an animation are shown.

    Attributes:
        durations: Milliseconds of each frame.
        loop: How often it is repeated; 0 is forever, None once.
    """

    durations: Sequence[float]
    loop: int | None


def frame_count(path: Path) -> int:
    """Return how many frames an image file has; 1 if it is not animated, or cannot be read."""
    try:
        with open_image(path) as image:
            return frames_in(image)
    except Exception:  # reading the image will say why
        return 1


def timing(path: Path) -> Timing:
    """Return the timing of an animation.

    Raises:
        DataError: It is damaged, or has more than ``MAX_PIXELS``.
    """
    try:
        with open_image(path) as image:
            _check_size(image, path)
            loop = image.info.get("loop")
            durations = [_duration(frame) for frame in ImageSequence.Iterator(image)]
    except DataError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    return Timing(durations, loop)


def frames(path: Path) -> Iterator[tuple[Image.Image, Image.Image | None]]:
    """Yield the RGB colours and the opacity of each frame; the latter is None if all of it is opaque.

    Raises:
        DataError: A frame is damaged.
    """
    try:
        with open_image(path) as image:
            for frame in ImageSequence.Iterator(image):
                yield to_srgb(frame.copy(), "white", path), opacity(frame)
    except DataError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def write_animation(images: Iterator[Image.Image], path: Path, when: Timing, quality: int) -> None:
    """Write an animation atomically.

    Raises:
        ConfigError: Files with this suffix hold a single frame.
        DataError: The path cannot be written to.
    """
    check_animated(path)
    first = next(images)
    options = _transparency(path) if first.mode == "RGBA" else {}
    options |= {} if when.loop is None else {"loop": when.loop}
    with whole_file(path) as temporary:
        format_ = Image.registered_extensions()[path.suffix.lower()]
        rest = images if format_ == "GIF" else list(images)
        durations = [round(duration) for duration in when.durations]
        shown = {"save_all": True, "append_images": rest, "duration": durations}
        first.save(temporary, format_, quality=quality, **shown, **options)


def _transparency(path: Path) -> dict[str, Any]:
    """Return how transparent frames are written: each replaces the one before, and WebP keeps opacity if lossless."""
    suffix = path.suffix.lower()
    return {"lossless": True} if suffix == ".webp" else {"disposal": 2 if suffix == ".gif" else 1}


def check_animated(path: Path) -> None:
    """Raise `ConfigError` if a file with this suffix can hold a single frame only."""
    if path.suffix.lower() not in ANIMATED_SUFFIXES:
        raise ConfigError(f"{path} cannot hold more than one frame. Use --format gif, webp or png with --frames.")


def _check_size(image: Image.Image, path: Path) -> None:
    count = frames_in(image)
    if count * image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{path} has {count} frames of {image.width} x {image.height} pixels, more than {MAX_PIXELS} pixels in "
            "all. Make it smaller or shorter, or convert it to a video."
        )


def _duration(frame: Image.Image) -> float:
    before = frame.info.get("duration", 0)
    frame.load()  # after which WebP knows the duration, and PNG may have forgotten it
    return float(frame.info.get("duration", before))


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as an animation ({error or type(error).__name__}). Replace or remove it.")
