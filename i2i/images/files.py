"""Reading and writing image files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from i2i.errors import DataError
from i2i.images.colours import to_srgb
from i2i.images.grids import LAYOUT
from i2i.images.heic import HEIC_SUFFIXES, enable_heic, is_heic
from i2i.storage.files import oddity, whole_file

MAX_PIXELS = 2**27
"""Most pixels of an image file, 134 million: read as RGB with transparency, it takes 1.1 GB at its peak."""
MAX_METADATA = 2**24
"""Most bytes of a colour profile or text in a PNG file, unpacked; Pillow's own limit is below profiles of printers."""
_DECODING = {"JPEG2000": 4}
"""Times the memory that decoding takes in some formats."""

PngImagePlugin.MAX_TEXT_CHUNK = MAX_METADATA
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is the limit
warnings.filterwarnings("ignore", module=r"PIL\.", category=UserWarning)  # of metadata, which is left out if damaged

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", *HEIC_SUFFIXES)
QUALITY = 95
"""Of JPEG, WebP and AVIF files, from 1 to 100."""

_TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), start=2))  # fmt: skip
"""What makes an image upright, by its EXIF orientation."""


def read_image(path: str | os.PathLike[str], background: str = "white") -> Image.Image:
    """Read any image file as 8-bit sRGB: EXIF rotation and colour profile applied, alpha laid over ``background``.

    Integers of 16 bits are scaled from 0..65535, floats from 0..1.

    Raises:
        DataError: The file is missing, empty, damaged, truncated, or not an image, or its range of values is ambiguous.
    """
    path = Path(path)
    try:
        image, turn = _decoded(path, background)  # the image as stored is freed before it is turned
        return image if turn is None else image.transpose(turn)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise DataError(_described(path, error)) from error


def _described(path: Path, error: Exception) -> str:
    if "PngImagePlugin.MAX_TEXT" in str(error):
        return f"{path} holds a colour profile or texts that unpack to over {MAX_METADATA} bytes. Save it without them."
    return f"{path} cannot be read as an image ({str(error) or type(error).__name__}). Replace or remove it."


def list_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """Return the image files in a folder, sorted by path; hidden files and folders are left out.

    Args:
        folder: The folder.
        recursive: Also list its subfolders, but none behind symbolic links.

    Raises:
        DataError: ``folder`` is missing or not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}. Name a folder of images ({', '.join(IMAGE_SUFFIXES)}).")
    paths = (
        (one for place, names in walk(folder) for one in map(place.joinpath, names)) if recursive else folder.iterdir()
    )
    return sorted(p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and those below it, but none that are hidden or behind links, each with the names of its files."""
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield Path(place), names


def write_image(image: Image.Image, path: Path, quality: int = QUALITY, **metadata: Any) -> None:
    """Write an image atomically; JPEG with full colour resolution (4:4:4).

    Args:
        image: The image.
        path: The file; its suffix decides the format.
        quality: Of lossy formats, from 1 to 100.
        metadata: More arguments for Pillow's ``save``, such as ``dpi``.

    Raises:
        DataError: The path cannot be written to, or its suffix is not an image format.
    """
    if path.suffix.lower() in HEIC_SUFFIXES:
        enable_heic(path)
    with whole_file(path) as temporary:
        try:
            image.save(temporary, pnginfo=_png_metadata(image), quality=quality, subsampling="4:4:4", **metadata)
        except (ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be written ({error}). Choose another suffix.") from error


def _png_metadata(image: Image.Image) -> PngImagePlugin.PngInfo:
    metadata = PngImagePlugin.PngInfo()
    if LAYOUT in image.info:
        metadata.add_text(LAYOUT, image.info[LAYOUT])
    return metadata


def open_image(path: Path) -> ImageFile.ImageFile:
    """Open an image file without decoding it; its header says how much memory decoding takes.

    Raises:
        DataError: It is no regular file, is empty, or has more than ``MAX_PIXELS``, or fewer in a format that takes
            more memory per pixel.
    """
    _check_file(path)
    if is_heic(path):
        enable_heic(path)
    image = Image.open(path)
    limit = MAX_PIXELS // _DECODING.get(str(image.format), 1)
    if image.width * image.height > limit:
        image.close()
        raise DataError(f"{path} has {image.width} x {image.height} pixels, more than {limit}. Make it smaller.")
    return image


def _check_file(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a symbolic link that leads to no file. Mend or remove it.")
    if not path.exists():
        raise DataError(f"{path} does not exist. Check the name.")
    if path.is_dir():
        raise DataError(f"{path} is a folder, not an image file. Name a file in it.")
    if odd := oddity(path):
        raise DataError(f"{path} {odd}. Name an image file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Replace or remove it.")


def upright(image: Image.Image) -> Image.Image:
    """Decode an image and apply its EXIF orientation."""
    image.load()
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _decoded(path: Path, background: str) -> tuple[Image.Image, Image.Transpose | None]:
    """Return an image as 8-bit sRGB, and what makes it upright."""
    with open_image(path) as image:
        deep = _is_deep(image)
        image.load()
        return to_srgb(image, background, path, deep), _turn(image)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what the EXIF orientation asks for; other tags, and an EXIF that cannot be read, are ignored."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever a damaged tag makes of it
        return None


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Return whether an image that is not decoded yet has 16 bits per channel."""
    return any(";16" in str(tile[3]) for tile in image.tile)
