"""The options of ``i2i translate``, one dataclass per panel of its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from i2i.cli.panels import option

Format = Literal["jpg", "png", "webp", "avif", "tif", "bmp", "gif", "heic"]

# fmt: off


@dataclass(frozen=True)
class Choice:
    """Images."""

    direction: Annotated[Literal["a2b", "b2a"], option("Which way.")] = "a2b"
    group: Annotated[str | None, option(
        "Translate as this group. [default: the base group] With auto each image decides.")] = None
    detector: Annotated[str | None, option(
        "With --group auto: the detector of groups, from a plugin. [default: the model's group head]")] = None
    recursive: Annotated[bool, option("Include subfolders; translations keep them.")] = False
    frames: Annotated[bool, option("Translate all frames of animated GIF, WebP and PNG, not only the first.")] = False
    max_frames: Annotated[int, option("With --frames: the most frames of an animated image.", min=1)] = 10_000
    skip_existing: Annotated[bool, option(
        "Leave out images that have a translation: goes on where a batch stopped.")] = False


@dataclass(frozen=True)
class Output:
    """Translations."""

    out: Annotated[str | None, option(
        "Folder for the translations, one image file, or - for standard output. "
        "[default: translated; for standard input, -]")] = None
    overwrite: Annotated[bool, option("Replace existing translations.")] = False
    format: Annotated[Format | None, option("Format of the translations. [default: that of each image]")] = None
    quality: Annotated[int, option("Of JPEG, WebP, AVIF, HEIC and videos.", min=1, max=100)] = 95
    no_metadata: Annotated[bool, option(
        "Leave out the source's transparency, EXIF tags (also camera and place), dpi and colour profile.")] = False
    side_by_side: Annotated[bool, option("Write the source beside its translation, as one image.")] = False
    heatmap: Annotated[bool, option(
        "Write the generator's attention over the source beside the translation (ugatit, photo2cartoon).")] = False

    @property
    def suffix(self) -> str | None:
        """The suffix of all translations; None: each keeps its own."""
        return None if self.format is None else f".{self.format}"


@dataclass(frozen=True)
class Sharpness:
    """Sharpness."""

    size: Annotated[int | None, option(
        "Shorter side to translate at, in pixels. Larger is sharper, and strays further from the training. "
        "[default: the training size]", min=16)] = None
    tiles: Annotated[bool, option(
        "Translate large images in overlapping tiles, at their own size or at --size.")] = False
    max_pixels: Annotated[int | None, option(
        "Most pixels translated at once; bounds the memory. [default: 16 times the training images'; with --size at "
        "least 4 million]", min=1)] = None


@dataclass(frozen=True)
class Computing:
    """Computing."""

    device: Annotated[str, option("auto, cpu, cuda or mps.")] = "auto"
    precision: Annotated[Literal["32", "bf16"], option("bf16 computes in bfloat16.")] = "32"
    batch: Annotated[int | None, option("Images, or tiles, translated together. [default: by their size]",
                                        min=1)] = None
    threads: Annotated[int | None, option("CPU cores to use. [default: all]", min=1)] = None
