"""Converting, resizing and cropping images.

Everywhere in i2i an image tensor is ``(N, 3, H, W)`` float in [-1, 1]; on disk and in caches it is 8-bit RGB.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from i2i.errors import DataError
from i2i.images.files import read_image

LONGEST = 16
"""Times that an image's longer side may be as long as its shorter, unless a limit in pixels is given."""


def to_tensor(image: Image.Image) -> Tensor:
    """Convert an RGB image to ``(3, H, W)`` in [-1, 1]."""
    return from_bytes(rearrange(torch.from_numpy(np.array(image.convert("RGB"))), "h w c -> c h w"))


def from_bytes(pixels: Tensor) -> Tensor:
    """Map 8-bit values 0..255 to [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_image(x: Tensor) -> Image.Image:
    """Convert ``(3, H, W)`` in [-1, 1] to an RGB image; values outside are clipped."""
    pixels = x.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return Image.fromarray(rearrange(pixels, "c h w -> h w c").cpu().numpy())


def fit_short_side(image: Image.Image, size: int, max_pixels: int | None = None) -> Image.Image:
    """Resize the shorter side to ``size`` pixels, keeping the aspect ratio.

    Raises:
        DataError: As `fitted_size`.
    """
    fitted = fitted_size(*image.size, size, max_pixels)
    return image.resize(fitted, Image.Resampling.BICUBIC) if image.size != fitted else image


def fitted_size(width: int, height: int, size: int, max_pixels: int | None = None) -> tuple[int, int]:
    """Return width and height with the shorter side at ``size`` pixels, before any memory is taken for them.

    Raises:
        DataError: They make more than ``max_pixels``; by default, the image is more than ``LONGEST`` times as long as
            it is short.
    """
    if 0 in (width, height):
        raise DataError(f"An image of {width} x {height} pixels is empty. Leave it out.")
    scale = size / min(width, height)
    fitted = max(size, round(width * scale)), max(size, round(height * scale))
    limit = LONGEST * size * size if max_pixels is None else max_pixels
    if fitted[0] * fitted[1] > limit:
        raise DataError(
            f"An image of {width} x {height} pixels becomes {fitted[0]} x {fitted[1]} where its shorter side is "
            f"{size}; at most {limit} pixels are allowed. Crop it, or translate it by i2i translate "
            "--tiles or with a higher --max-pixels."
        )
    return fitted


def crop_centre(image: Image.Image, size: int) -> Image.Image:
    """Crop the central ``size`` x ``size`` pixels."""
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def read_square(path: Path, size: int) -> Image.Image:
    """Read an image's centre square, resized to ``size`` x ``size`` pixels."""
    return crop_centre(fit_short_side(read_image(path), size), size)
