"""Decoded training images, kept in memory while there is room and otherwise decoded ahead of their use."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from i2i.images.files import read_image
from i2i.images.pixels import fit_short_side

_THREADS = 4
_MOST_AHEAD = 256  # images decoded and not yet used


class DecodedImages:
    """Images as 8-bit tensors, ``(3, H, W)``.

    Args:
        side: Shorter side in pixels, to which images are resized.
        cache_mib: Memory for decoded images in MiB; images beyond it are decoded each time.
    """

    def __init__(self, side: int, cache_mib: int) -> None:
        self._side, self._free = side, cache_mib * 2**20
        self._kept: dict[Path, Tensor] = {}
        self._ahead: dict[Path, Future[Tensor]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="i2i-decode")

    def __getitem__(self, path: Path) -> Tensor:
        """Return an image.

        Raises:
            DataError: The file is not an image that can be used.
        """
        if path in self._kept:
            return self._kept[path]
        decoded = self._ahead.pop(path, None)
        pixels = _decode(path, self._side) if decoded is None else decoded.result()
        if pixels.numel() <= self._free:
            self._kept[path] = pixels
            self._free -= pixels.numel()
        return pixels

    def expect(self, paths: Iterable[Path]) -> None:
        """Start decoding images that will be used soon; a wrong guess costs only time."""
        for path in paths:
            if path not in self._kept and path not in self._ahead:
                self._ahead[path] = self._pool.submit(_decode, path, self._side)
        while len(self._ahead) > _MOST_AHEAD:
            self._ahead.pop(next(iter(self._ahead))).cancel()


def _decode(path: Path, side: int) -> Tensor:
    image = fit_short_side(read_image(path), side)
    return rearrange(torch.from_numpy(np.array(image)), "h w c -> c h w").contiguous()
