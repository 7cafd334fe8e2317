"""Converting the colours of image files to 8-bit sRGB: bit depths, colour profiles and transparency."""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from i2i.errors import DataError

DARKEST = 4095
"""The brightest value of a 16-bit image that is taken for one of 12 bits or fewer."""

ALIKE = 2
"""Levels of 255 by which a profile may differ from sRGB without being converted; standard profiles differ by 1."""

STRIP = 2**22
"""Pixels that are converted at a time, so that a large image takes little more than its own memory, twice."""

_LOGGER = logging.getLogger(__name__)
_MORE_THAN_8 = ("I", "F")  # what modes of more than 8 bits begin with
_LEVELS = (np.arange(2**16) / 65535.0 * 255.0).round().astype(np.uint8)


def to_srgb(image: Image.Image, background: str, name: object, deep: bool = False) -> Image.Image:
    """Convert any image to 8-bit sRGB without transparency or profile.

    An embedded profile that differs from sRGB is applied (relative colorimetric, with black point compensation), and
    noted once; one that cannot be used is ignored with a note.

    Args:
        image: The image as decoded.
        background: The colour that shows through.
        name: What to call the image in messages.
        deep: Whether its file has 16 bits per channel, of which Pillow keeps the upper 8 of colours.

    Raises:
        DataError: It has more than 8 bits, and which values are black and white is unknown.
    """
    _check_range(image, name, deep)
    rows = max(1, STRIP // image.width)
    if rows >= image.height:
        return _to_srgb(image, background, name)
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        whole.paste(_to_srgb(strip, background, name), (0, top))
    return whole


def _to_srgb(image: Image.Image, background: str, name: object) -> Image.Image:
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode.startswith(_MORE_THAN_8):
        image = _to_8_bits(image, name)
    if image.has_transparency_data:
        image = image if image.mode == "LA" else image.convert("RGBA")
        alpha = image.getchannel("A")
    image = _opaque(image)
    image = _converted(image, profile, name) if profile else image.convert("RGB")
    image.info.pop("icc_profile", None)
    return image if alpha is None else _laid_over(image, alpha, background)


def _laid_over(image: Image.Image, alpha: Image.Image, background: str) -> Image.Image:
    image.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def _check_range(image: Image.Image, name: object, deep: bool) -> None:
    """Refuse integers whose black and white are unknown. Pillow reads deep PGM files as 32 bits, scaled from 16."""
    if image.mode == "I":
        _refuse_unless(image.format == "PPM", f"holds {_range(image)} as 32-bit integers", name)
    if deep or image.mode.startswith("I"):
        extrema = np.atleast_2d(np.array(image.getextrema()))
        levels = [high for band, (_, high) in zip(image.getbands(), extrema, strict=True) if band != "A"]
        faint = DARKEST if image.mode.startswith("I") else DARKEST >> 8
        _refuse_unless(not 0 < max(levels) <= faint, "uses only the lower 12 of its 16 bits", name)


def _to_8_bits(image: Image.Image, name: object) -> Image.Image:
    """Scale 16-bit integers from 0..65535, and floats from 0..1."""
    values = np.asarray(image)
    if image.mode != "F":
        return Image.fromarray(_LEVELS[values.clip(0, 65535)])
    _refuse_unless(bool(np.isfinite(values).all()), "holds NaN or infinity", name)
    known = values.min() >= 0 and values.max() <= 1
    _refuse_unless(known, f"holds {_range(image)} as floats, which are read from 0 to 1", name)
    return Image.fromarray((values * np.float32(255)).round().astype(np.uint8))


def _range(image: Image.Image) -> str:
    low, high = image.getextrema()
    return f"{low:g} to {high:g}"


def _refuse_unless(known: bool, what: str, name: object) -> None:
    if not known:
        raise DataError(
            f"{name} {what}. Convert it to 8 bits: (value - black) / (white - black) * 255, clipped to 0 to 255."
        )


def _opaque(image: Image.Image) -> Image.Image:
    """Return the colours of an image in a mode that profiles apply to: L, RGB or CMYK."""
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("L")
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB")


def _converted(image: Image.Image, profile: bytes, name: object) -> Image.Image:
    conversion = _conversion(profile, image.mode)
    with suppress(IndexError):  # it has been said, perhaps by another thread
        _LOGGER.warning("note: %s %s, as are others with it.", name, conversion.notes.pop())
    if conversion.transform is None:
        return image.convert("RGB")
    return ImageCms.applyTransform(image, conversion.transform) or image


@dataclass(frozen=True)
class _Conversion:
    """What to do with the images of a profile, and what has yet to be said about it."""

    transform: ImageCms.ImageCmsTransform | None
    notes: list[str]


@lru_cache(maxsize=64)
def _conversion(profile: bytes, mode: str) -> _Conversion:
    """Return the conversion of a profile to sRGB; without a transform for one like sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        title = ImageCms.getProfileDescription(source).strip() or "unnamed"
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
        if _is_like_srgb(transform, mode):
            return _Conversion(None, [])
    except Exception as error:  # a profile is a program of sorts, and may be damaged anywhere
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return _Conversion(None, [f"has a colour profile that cannot be used ({reason}) and is read as sRGB"])
    return _Conversion(transform, [f"is converted from its colour profile '{title}' to sRGB"])


def _is_like_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a conversion hardly changes a sample of colours."""
    if mode == "CMYK":
        return False
    ramp = np.linspace(0, 255, 9).round().astype(np.uint8)
    values = ramp[:, None] if mode == "L" else np.stack(np.meshgrid(ramp, ramp, ramp), axis=-1).reshape(-1, 1, 3)
    before = Image.fromarray(values)
    after = ImageCms.applyTransform(before, transform)
    difference = np.asarray(before.convert("RGB"), np.int16) - np.asarray(after, np.int16)
    return bool(np.abs(difference).max() <= ALIKE)
