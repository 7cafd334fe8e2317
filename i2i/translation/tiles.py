"""Translating one large image in overlapping tiles, which share the statistics of the whole image.

A tile with statistics of its own would get its own brightness and colours. So a first pass over the whole image, or
over small patches spread over it if it is large, records the statistics that all tiles are then normalised with. Those
of patches are not quite those of the image, and a pixel near the edge of a tile sees less than its surroundings, so
tiles are close to a translation in one piece, but not equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from i2i.contracts.domains import Direction
from i2i.errors import ConfigError
from i2i.images.pixels import to_tensor
from i2i.models.model import Model
from i2i.nn.statistics import Statistics, recorded, replayed
from i2i.translation.stages import in_order

SIDE = 256
"""Side of a tile in pixels, unless the generator's multiple asks for more."""
OVERLAP = 96
"""Least pixels by which neighbours overlap; half of them are about what the published networks see around a pixel."""

SAMPLE, PATCH = 2**18, 32
"""Pixels of the patches that statistics are computed from, unless ``max_pixels`` is set, and the side of one.

Many small patches give better statistics than a few large ones, although all see the edges of their own.
"""

Span = tuple[int, int]


@dataclass(frozen=True)
class Tiling:
    """Where the tiles of an image lie, one row and column after the other.

    Attributes:
        rows: First and last + 1 pixel of each row of tiles.
        columns: The same for the columns.
    """

    rows: Sequence[Span]
    columns: Sequence[Span]

    @classmethod
    def of(cls, width: int, height: int, multiple_of: int) -> Tiling:
        """Return the tiling of an image for a generator."""
        side = _side(SIDE, multiple_of)
        return cls(*(_spans(length, side, multiple_of) for length in (height, width)))


def translate_in_tiles(
    model: Model, image: Image.Image, group: str | None, direction: Direction, batch: int, half: bool, threads: Executor
) -> Image.Image:
    """Translate an image at its size, ``batch`` tiles at a time in each thread; ``half`` computes in bfloat16."""
    _check_limit(model)
    tiling = Tiling.of(*image.size, model.backbone.generator(direction).multiple_of)
    tiler = _Tiler(model, group, direction, half, _whole_statistics(model, image, group, direction))
    boxes = [(left, top, right, bottom) for top, bottom in tiling.rows for left, right in tiling.columns]
    batches = (boxes[start : start + batch] for start in range(0, len(boxes), batch))
    crops = ([image.crop(box) for box in some] for some in batches)
    tiles = (tile for some in in_order(tiler, crops, threads, 8) for tile in some)
    return Image.fromarray(_blended(tiles, tiling))


def at_once(model: Model, width: int, height: int) -> int:
    """Return the most pixels of an image that a model translates at once, for the statistics that its tiles share."""
    return min(width * height, model.max_pixels or SAMPLE)


def _check_limit(model: Model) -> None:
    if model.max_pixels is not None and model.max_pixels < SIDE**2:
        raise ConfigError(
            f"A tile of {SIDE} x {SIDE} pixels has more than --max-pixels {model.max_pixels}. Raise it to at least "
            f"{SIDE**2}, or leave out --tiles."
        )


@dataclass(frozen=True)
class _Tiler:
    """Translates tiles of one image with the statistics of the whole."""

    model: Model
    group: str | None
    direction: Direction
    half: bool
    statistics: Statistics

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Image.Image]) -> Tensor:
        """Return the translations of tiles of one size, ``(N, 3, H, W)``."""
        x = _batch(crops)
        half = torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.half)
        with half, replayed(self.statistics):
            return self.model.translate(x, self.group, self.direction, min(x.shape[-2:]))


@torch.inference_mode()
def _whole_statistics(model: Model, image: Image.Image, group: str | None, direction: Direction) -> Statistics:
    """Return the statistics of the whole image, or of patches spread over it if it is too large for one pass."""
    limit = at_once(model, *image.size)
    side = _side(PATCH, model.backbone.generator(direction).multiple_of)
    whole = image.width * image.height <= limit
    crops = [image] if whole else [image.crop(box) for box in _patches(*image.size, side, limit)]
    x = _batch(crops)
    with recorded() as statistics:
        model.translate(x, group, direction, min(x.shape[-2:]))
    return statistics


def _batch(crops: Sequence[Image.Image]) -> Tensor:
    """Return images of one size as ``(N, 3, H, W)``."""
    return torch.stack([to_tensor(crop) for crop in crops])


def _side(least: int, multiple_of: int) -> int:
    return -(-least // multiple_of) * multiple_of


def _patches(width: int, height: int, side: int, pixels: int) -> list[tuple[int, int, int, int]]:
    """Return boxes of ``side`` x ``side`` with at most ``pixels`` in all, but at least one, spread over an image."""
    side = min(side, width, height)
    most = max(1, pixels // side**2)
    rows = max(1, min(most, int((pixels * height / width) ** 0.5 / side)))
    columns = most // rows
    tops, lefts = _starts(height, side, rows), _starts(width, side, columns)
    return [(left, top, left + side, top + side) for top in tops for left in lefts]


def _starts(length: int, side: int, count: int) -> list[int]:
    return [round((length - side) * (2 * number + 1) / (2 * count)) for number in range(count)]


def _spans(length: int, side: int, step: int) -> list[Span]:
    """Spread spans of one length evenly; all starts but the last are multiples of ``step``, if it is small."""
    if length <= side:
        return [(0, length)]
    aligned = step if step <= OVERLAP // 4 else 1
    count = -(-(length - OVERLAP) // (side - OVERLAP - aligned))
    starts = [round((length - side) * number / (count - 1) / aligned) * aligned for number in range(count - 1)]
    return [(start, start + side) for start in (*starts, length - side)]


def _blended(tiles: Iterator[Tensor], tiling: Tiling) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Blend tiles into ``(H, W, 3)``; in memory is one row of them."""
    height, width = tiling.rows[-1][1], tiling.columns[-1][1]
    result = np.empty((height, width, 3), np.uint8)
    band = torch.zeros(3, 0, width)
    across, down = _weights(tiling.columns), _weights(tiling.rows)
    for number, (top, bottom) in enumerate(tiling.rows):
        following = tiling.rows[number + 1][0] if number + 1 < len(tiling.rows) else height
        row = torch.zeros(3, bottom - top, width)
        row[:, : band.shape[1]] = band
        for (left, right), weight in zip(tiling.columns, across, strict=True):
            row[..., left:right] += next(tiles) * weight * down[number][:, None]
        finished = row[:, : following - top].clamp_(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)
        result[top:following] = finished.permute(1, 2, 0).numpy()
        band = row[:, following - top :]
    return result


def _weights(spans: Sequence[Span]) -> list[Tensor]:
    """Return the weight of each pixel of each span, falling towards its neighbours; those of one place add up to 1."""
    weights = [torch.ones(end - start) for start, end in spans]
    for number, ((_, end), (start, _)) in enumerate(pairwise(spans)):
        ramp = torch.linspace(0, 1, end - start + 2)[1:-1]
        weights[number][-len(ramp) :] *= 1 - ramp
        weights[number + 1][: len(ramp)] *= ramp
    total = torch.zeros(spans[-1][1])
    for (start, end), weight in zip(spans, weights, strict=True):
        total[start:end] += weight
    return [weight / total[start:end] for (start, end), weight in zip(spans, weights, strict=True)]
