"""Converting, resizing and cropping images.

Everywhere in i2i an image tensor is ``(N, 3, H, W)`` float in [-1, 1]; on disk and in caches it is 8-bit RGB.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor


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


def fit_short_side(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side to ``size`` pixels, keeping the aspect ratio."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC) if image.size != (width, height) else image


def crop_centre(image: Image.Image, size: int) -> Image.Image:
    """Crop the central ``size`` x ``size`` pixels."""
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))
