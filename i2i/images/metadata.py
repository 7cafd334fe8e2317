"""What an image file holds besides colours, and what of it a translation keeps.

Kept are transparency, EXIF tags, the resolution in dots per inch and, if the source has a colour profile, that of the
colours written: sRGB. Left out are the EXIF orientation, which is applied to the pixels, and the preview in the EXIF
data, which shows the source.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageCms

from i2i.images.files import open_image, upright

TRANSPARENT = (".png", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".apng", ".gif")
"""Suffixes of formats with transparency."""

_MOST_EXIF = 65_527
"""Bytes of EXIF that a JPEG file can hold."""

_OF_THE_SOURCE = (
    ExifTags.Base.Orientation,
    ExifTags.Base.ImageWidth,
    ExifTags.Base.ImageLength,
    ExifTags.Base.BitsPerSample,
    ExifTags.Base.Compression,
    ExifTags.Base.PhotometricInterpretation,
    ExifTags.Base.StripOffsets,
    ExifTags.Base.StripByteCounts,
    ExifTags.Base.RowsPerStrip,
    ExifTags.Base.SamplesPerPixel,
    ExifTags.Base.PlanarConfiguration,
    ExifTags.Base.InterColorProfile,
    ExifTags.Base.ExtraSamples,
    ExifTags.Base.SampleFormat,
    ExifTags.Base.TileWidth,
    ExifTags.Base.TileLength,
    ExifTags.Base.TileOffsets,
    ExifTags.Base.TileByteCounts,
    ExifTags.Base.ColorMap,
    ExifTags.Base.Predictor,
)
"""Tags that describe the source's own pixels and their storage."""


@dataclass(frozen=True)
class Metadata:
    """What an image file holds besides colours.

    Attributes:
        alpha: Opacity, of the size of the upright image; None if all of it is opaque.
        exif: EXIF tags as bytes; empty if there are none, or they cannot be read.
        dpi: Dots per inch, horizontally and vertically.
        profiled: Whether the file has a colour profile.
        frames: More than 1 for animations.
    """

    alpha: Image.Image | None = None
    exif: bytes = b""
    dpi: tuple[float, float] | None = None
    profiled: bool = False
    frames: int = 1

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Metadata:
        """Read what a readable image file holds; what is damaged is left out."""
        with open_image(Path(path)) as image:
            alpha, exif, dpi = opacity(image), _exif(image), _dpi(image.info)
            return cls(alpha, exif, dpi, bool(image.info.get("icc_profile")), frames_in(image))

    def added_to(self, image: Image.Image, suffix: str) -> Image.Image:
        """Return an RGB image with the opacity of the source, if files with this suffix can hold it."""
        if self.alpha is None or suffix.lower() not in TRANSPARENT or self.alpha.size != image.size:
            return image
        layered = image.copy()
        layered.putalpha(self.alpha)
        return layered

    def options(self) -> dict[str, Any]:
        """Return arguments for Pillow's ``save``."""
        given = {"exif": self.exif, "dpi": self.dpi, "icc_profile": _srgb() if self.profiled else None}
        return {name: value for name, value in given.items() if value}


def frames_in(image: Image.Image) -> int:
    """Return the number of frames of an animation; 1 for other images, also those of several pages."""
    return int(getattr(image, "n_frames", 1)) if image.format in ("GIF", "WEBP", "PNG") else 1


def opacity(image: Image.Image) -> Image.Image | None:
    """Return the opacity of an image, upright, as grey values; None if all of it is opaque."""
    if not image.has_transparency_data:
        return None
    alpha = upright(image).convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _exif(image: Image.Image) -> bytes:
    try:
        exif = image.getexif()
        for tag in _OF_THE_SOURCE:
            exif.pop(tag, None)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if ExifTags.Base.ColorSpace in details:
            details[ExifTags.Base.ColorSpace] = 1  # sRGB
        exif._ifds.pop(ExifTags.IFD.IFD1, None)
        data = exif.tobytes() if len(exif) else b""
        return data if len(data) <= _MOST_EXIF else b""
    except Exception:  # whatever a damaged tag makes of it
        return b""


def _dpi(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e5 and 0 < down < 1e5 else None


@cache
def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
