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
from PIL import Image
from torch import Tensor

from i2i.compute.host import upload
from i2i.config.run import CROP_MARGIN
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS, Batch, Domain
from i2i.errors import DataError
from i2i.images.files import read_image
from i2i.images.pixels import fitted_size, from_bytes
from i2i.training.decoding import DecodedImages


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
        self._flip = flip
        self._files: dict[str, list[Path]] = {}
        self._images = DecodedImages(round(size * margin), cache_mib)
        self._drawn: dict[str, list[int]] = {}  # positions in the current batch by stream
        self._first: dict[str, int] = {}  # first position in the batch before

    def batch(self, groups: tuple[str, ...], device: torch.device | None = None) -> Batch:
        """Draw one image of each domain per named group; ``real[...]`` is ``(N, 3, size, size)`` in [-1, 1]."""
        real = {domain: torch.stack([self._draw(group, domain) for group in groups]) for domain in DOMAINS}
        self._look_ahead()
        return Batch({domain: from_bytes(upload(pixels, device)) for domain, pixels in real.items()}, groups)

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
        self._drawn.setdefault(stream, []).append(position)
        return self._augmented(self._file(stream, position), _rng(self._seed, stream, 1, position))

    def _file(self, stream: str, position: int) -> Path:
        files = self._files[stream]
        round_, index = divmod(position, len(files))
        return files[_order(self._seed, stream, round_, len(files))[index]]

    def _look_ahead(self) -> None:
        """Decode what the next batch draws if it advances like this one, skipped samples included."""
        for stream, drawn in self._drawn.items():
            step = drawn[0] - self._first.get(stream, drawn[0] - len(drawn))
            self._images.expect(self._file(stream, position + step) for position in drawn)
            self._first[stream] = drawn[0]
        self._drawn = {}

    def _augmented(self, path: Path, rng: np.random.Generator) -> Tensor:
        pixels = self._images[path]
        top, left = (int(rng.integers(0, side - self._size + 1)) for side in pixels.shape[1:])
        crop = pixels[:, top : top + self._size, left : left + self._size]
        return crop.flip(2) if self._flip and rng.random() < 0.5 else crop


def image_paths(dataset: Dataset) -> list[Path]:
    """Return all images of a data set, those held out included."""
    parts = (dataset.train, dataset.test)
    return [path for group in dataset.groups for domain in DOMAINS for part in parts for path in part(group, domain)]


def broken_images(dataset: Dataset) -> list[str]:
    """Read all images of a data set; return one message per image that cannot be used."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(_problem, image_paths(dataset)) if problem]


def _problem(path: Path) -> str:
    try:
        usable_image(path)
    except DataError as error:
        return str(error)
    return ""


def usable_image(path: Path) -> Image.Image:
    """Read an image that can be trained on.

    Raises:
        DataError: It cannot be read, or is too long.
    """
    image = read_image(path)
    try:
        fitted_size(*image.size, min(image.size))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return image


@lru_cache(maxsize=64)
def _order(seed: int, stream: str, round_: int, count: int) -> tuple[int, ...]:
    return tuple(_rng(seed, stream, 0, round_).permutation(count).tolist())


def _rng(seed: int, stream: str, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), purpose, number])
