"""Images: batches, value ranges, reading, resizing, writing, and grids that a person can read.

Everywhere in i2i an image tensor is ``(N, 3, H, W)`` float in [-1, 1]; on disk and in caches it is 8-bit RGB.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from i2i.errors import DataError
from i2i.files import whole_file

Domain = Literal["a", "b"]
Direction = Literal["a2b", "b2a"]
DOMAINS: tuple[Domain, Domain] = ("a", "b")
INTO: dict[Domain, Direction] = {"a": "b2a", "b": "a2b"}
OTHER: dict[Domain, Domain] = {"a": "b", "b": "a"}

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_LAYOUT = "i2i-layout"  # where a grid tells what it consists of


@dataclass(frozen=True)
class Batch:
    """Real images of both domains; sample i of either domain belongs to ``groups[i]``.

    Attributes:
        real: ``real["a"]`` and ``real["b"]``, each ``(N, 3, H, W)`` in [-1, 1]. They are not pairs.
        groups: The group of every sample, N names.
    """

    real: dict[Domain, Tensor]
    groups: tuple[str, ...]


def read_image(path: str | os.PathLike[str], background: str = "white") -> Image.Image:
    """Read any image file as 8-bit RGB: EXIF rotation applied, alpha laid over ``background``, 16 bits scaled.

    Raises:
        DataError: The file is missing, empty, damaged, cut short, or no image.
    """
    path = Path(path)
    _check_file(path)
    try:
        with Image.open(path) as image:
            return _to_rgb(ImageOps.exif_transpose(image), background)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}). Replace or remove it.") from error


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the image files directly in a folder, sorted by name.

    Raises:
        DataError: ``folder`` is missing or not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}. Name a folder of images ({', '.join(SUFFIXES)}).")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def to_tensor(image: Image.Image) -> Tensor:
    """Turn an RGB image into ``(3, H, W)`` in [-1, 1]."""
    return from_bytes(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1))


def from_bytes(pixels: Tensor) -> Tensor:
    """Map 8-bit values 0..255 to [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_image(x: Tensor) -> Image.Image:
    """Turn ``(3, H, W)`` in [-1, 1] into an RGB image; values outside are clipped."""
    pixels = x.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def fit_short_side(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the shorter side measures ``size`` pixels; the aspect ratio stays."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC) if image.size != (width, height) else image


def crop_centre(image: Image.Image, size: int) -> Image.Image:
    """Cut the middle ``size`` x ``size`` pixels out."""
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def write_image(image: Image.Image, path: Path) -> None:
    """Write an image, whole or not at all.

    Raises:
        DataError: The place cannot be written to, or the suffix names no image format.
    """
    with whole_file(path) as temporary:
        try:
            image.save(temporary, pnginfo=_told(image))
        except (ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be written ({error}). Choose another suffix.") from error


@dataclass(frozen=True)
class Block:
    """One titled part of a grid: rows of images, each with a label."""

    title: str
    rows: list[tuple[str, list[Image.Image]]]


def grid(blocks: list[Block], cell: int = 96) -> Image.Image:
    """Draw blocks below one another, each with its title and labelled rows of ``cell`` x ``cell`` images.

    A grid that is written as PNG tells what it consists of, so that `cut` can take it apart.
    """
    gap, label, title = 4, 130, 30
    columns = max(len(images) for block in blocks for _, images in block.rows)
    heights = [title + len(block.rows) * (cell + gap) for block in blocks]
    sheet = Image.new("RGB", (label + columns * (cell + gap), sum(heights) + gap), "white")
    draw, top, layout = ImageDraw.Draw(sheet), 0, []
    for block, height in zip(blocks, heights, strict=True):
        draw.text((gap, top + title / 2), block.title, "black", ImageFont.load_default(17), anchor="lm")
        places: list[tuple[str, list[tuple[int, int, int]]]] = []
        for row, (text, images) in enumerate(block.rows):
            y = top + title + row * (cell + gap)
            draw.text((gap, y + cell / 2), text, "dimgray", ImageFont.load_default(14), anchor="lm")
            for column, image in enumerate(images):
                sheet.paste(image.resize((cell, cell), Image.Resampling.BICUBIC), (label + column * (cell + gap), y))
            places.append((text, [(label + column * (cell + gap), y, cell) for column in range(len(images))]))
        layout.append((block.title, places))
        top += height
    sheet.info[_LAYOUT] = json.dumps(layout)
    return sheet


def cut(sheet: Image.Image) -> list[Block]:
    """Take a grid apart that was written as PNG: its blocks, with images as small as they were drawn.

    Returns:
        The blocks; none for an image that does not tell what it consists of.
    """
    return [
        Block(title, [(label, [_square_of(sheet, *at) for at in places]) for label, places in rows])
        for title, rows in json.loads(sheet.info.get(_LAYOUT, "[]"))
    ]


def _square_of(sheet: Image.Image, left: int, top: int, side: int) -> Image.Image:
    return sheet.crop((left, top, left + side, top + side))


def _told(image: Image.Image) -> PngInfo:
    told = PngInfo()
    if _LAYOUT in image.info:
        told.add_text(_LAYOUT, image.info[_LAYOUT])
    return told


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist. Check the name.")
    if path.is_dir():
        raise DataError(f"{path} is a folder, not an image file. Name a file in it.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Replace or remove it.")


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _scale_to_8_bits(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, background)
        image = Image.alpha_composite(canvas, layer)
    return image.convert("RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max(initial=1.0)))
    return Image.fromarray((values / top * 255.0).round().clip(0, 255).astype(np.uint8))
