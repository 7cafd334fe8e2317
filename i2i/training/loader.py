"""The loader: endless shuffled streams of augmented images per group and domain.

Each sample is a function of (seed, group, domain, position), so the positions are the loader's only state.
"""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from i2i.config.run import CROP_MARGIN
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS, Batch, Domain
from i2i.errors import DataError
from i2i.images.files import read_image
from i2i.images.pixels import fit_short_side, from_bytes


class Loader:
    """Draws training batches: randomly flipped, resized and cropped, each image once before any repeats.

    Args:
        dataset: The images.
        size: Side of the crops in pixels.
        seed: Seed for order and augmentation.
        cache_mib: Memory for decoded images in MiB; images beyond it are decoded each time.
        flip: Mirror half of the samples at random; turn off for images that must not be mirrored, such as writing.
        margin: Shorter side after resizing, as a multiple of ``size``; at 1, square images are not cropped.
    """

    def __init__(
        self,
        dataset: Dataset,
        size: int,
        seed: int,
        cache_mib: int = 2048,
        *,
        flip: bool = True,
        margin: float = CROP_MARGIN,
    ) -> None:
        self.positions: dict[str, int] = {}
        self._dataset, self._size, self._seed = dataset, size, seed
        self._flip, self._side = flip, round(size * margin)
        self._files: dict[str, list[Path]] = {}
        self._cache: dict[Path, Tensor] = {}
        self._free = cache_mib * 2**20

    def batch(self, groups: tuple[str, ...], device: torch.device | None = None) -> Batch:
        """Draw one image of each domain per named group; ``real[...]`` is ``(N, 3, size, size)`` in [-1, 1]."""
        real = {domain: torch.stack([self._draw(group, domain) for group in groups]) for domain in DOMAINS}
        return Batch({domain: from_bytes(pixels.to(device)) for domain, pixels in real.items()}, groups)

    def skip(self, groups: tuple[str, ...]) -> None:
        """Skip the samples `batch` would draw, since another process draws them."""
        for group in groups:
            for domain in DOMAINS:
                self._advance(f"{group}/{domain}")

    def _advance(self, stream: str) -> int:
        """Advance a stream by one sample; return that sample's position."""
        position = self.positions.get(stream, 0)
        self.positions[stream] = position + 1
        return position

    def _draw(self, group: str, domain: Domain) -> Tensor:
        stream = f"{group}/{domain}"
        if stream not in self._files:
            self._files[stream] = list(self._dataset.train(group, domain))
        position = self._advance(stream)
        round_, index = divmod(position, len(self._files[stream]))
        order = _order(self._seed, stream, round_, len(self._files[stream]))
        return self._augmented(self._files[stream][order[index]], _rng(self._seed, stream, 1, position))

    def _augmented(self, path: Path, rng: np.random.Generator) -> Tensor:
        pixels = self._pixels(path)
        top, left = (int(rng.integers(0, side - self._size + 1)) for side in pixels.shape[1:])
        crop = pixels[:, top : top + self._size, left : left + self._size]
        return crop.flip(2) if self._flip and rng.random() < 0.5 else crop

    def _pixels(self, path: Path) -> Tensor:
        if path in self._cache:
            return self._cache[path]
        image = fit_short_side(read_image(path), self._side)
        pixels = rearrange(torch.from_numpy(np.array(image)), "h w c -> c h w").contiguous()
        if pixels.numel() <= self._free:
            self._cache[path] = pixels
            self._free -= pixels.numel()
        return pixels


def broken_images(dataset: Dataset) -> list[str]:
    """Read all images of a data set; return one message per image that cannot be used."""
    parts = (dataset.train, dataset.test)
    paths = [path for group in dataset.groups for domain in DOMAINS for part in parts for path in part(group, domain)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(_problem, paths) if problem]


def _problem(path: Path) -> str:
    try:
        read_image(path)
    except DataError as error:
        return str(error)
    return ""


@lru_cache(maxsize=64)
def _order(seed: int, stream: str, round_: int, count: int) -> tuple[int, ...]:
    return tuple(_rng(seed, stream, 0, round_).permutation(count).tolist())


def _rng(seed: int, stream: str, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), purpose, number])
