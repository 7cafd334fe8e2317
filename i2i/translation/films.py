"""Files of many frames, animated images and videos, whose frames are replaced one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.images.animations import frame_count, frames, timing, write_animation
from i2i.translation.jobs import Job
from i2i.translation.videos import VIDEO_SUFFIXES, Replace, check_video, is_video, rewrite_video, video_frames

MOST_FRAMES = 10_000
"""Frames of an animated image that are translated unless the user wants more; a small file can hold millions."""


def is_film(path: Path, animations: bool) -> bool:
    """Return whether all frames of a file are translated: of videos always, of animated images if ``animations``."""
    return is_video(path) or (animations and frame_count(path) > 1)


def check_film(job: Job) -> None:
    """Raise `ConfigError` if a video cannot be read for want of a package, or would become something else."""
    if is_video(job.source):
        check_video(job.source)
        if not is_video(job.target):
            raise ConfigError(
                f"{job.source} is a video and cannot become {job.target}. Name a folder, or a file that ends in one of "
                f"{', '.join(VIDEO_SUFFIXES)}."
            )


def check_length(path: Path, most: int) -> None:
    """Raise `DataError` if an animated image has more frames than ``most``; videos are as long as they are."""
    count = 1 if is_video(path) else frame_count(path)
    if count > most:
        raise DataError(f"{path} has {count:,} frames, more than {most:,}. Raise --max-frames, or shorten it.")


def frame_total(path: Path) -> int | None:
    """Return how many frames a film has; None if that is not known before the end."""
    return video_frames(path) if is_video(path) else frame_count(path)


def rewrite(job: Job, replace: Replace, quality: int) -> None:
    """Write a film with other frames; its times, and the sound of a video, stay.

    Raises:
        ConfigError: The target cannot hold frames.
        DataError: The source is damaged, or the target cannot be written.
    """
    if is_video(job.source):
        rewrite_video(job.source, job.target, replace, quality)
    else:
        _rewrite_animation(job, replace, quality)


def _rewrite_animation(job: Job, replace: Replace, quality: int) -> None:
    opacities: deque[Image.Image | None] = deque()

    def colours() -> Iterator[Image.Image]:
        for colour, opacity in frames(job.source):
            opacities.append(opacity)
            yield colour

    def layered() -> Iterator[Image.Image]:
        for image in replace(colours()):
            opacity = opacities.popleft()
            if opacity is not None and opacity.size == image.size:
                image.putalpha(opacity)
            yield image

    write_animation(layered(), job.target, timing(job.source), quality)
