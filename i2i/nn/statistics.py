"""Statistics of whole images, for networks that see an image in parts.

Layers that average over a whole map, such as instance normalisation, get other results on a tile than on the image that
the tile was cut from. So such statistics are recorded in one pass over the whole image or a sample of its parts
together, and replayed for its tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from einops import rearrange, reduce
from torch import Tensor

Compute = Callable[[Tensor], tuple[Tensor, ...]]


class Statistics:
    """What the layers of a network computed from the whole maps of one image, in their order."""

    def __init__(self) -> None:
        self._values: list[tuple[Tensor, ...]] = []

    def __len__(self) -> int:
        return len(self._values)

    def recorder(self) -> Callable[[Tensor, Compute], tuple[Tensor, ...]]:
        """Return a function that computes the statistics of a batch as if it were one image, and keeps them."""

        def record(x: Tensor, compute: Compute) -> tuple[Tensor, ...]:
            self._values.append(compute(rearrange(x, "n c h w -> 1 c (n h) w")))
            return _repeated(self._values[-1], len(x))

        return record

    def player(self) -> Callable[[Tensor, Compute], tuple[Tensor, ...]]:
        """Return a function that repeats what was kept, for each sample of a batch."""
        values = iter(self._values)
        return lambda x, _: _repeated(next(values), len(x))


_PASS: ContextVar[Callable[[Tensor, Compute], tuple[Tensor, ...]] | None] = ContextVar("_PASS", default=None)


def in_parts() -> bool:
    """Return whether statistics are being recorded or replayed."""
    return not torch.compiler.is_compiling() and _PASS.get() is not None


def over_image(x: Tensor, compute: Compute) -> tuple[Tensor, ...]:
    """Return statistics of the whole image that the maps ``x``, ``(N, C, H, W)``, are of, or are a tile of.

    Args:
        x: The maps.
        compute: Maps ``x`` to its statistics, ``(N, ...)`` each, which do not depend on the number of pixels.
    """
    step = None if torch.compiler.is_compiling() else _PASS.get()
    return compute(x) if step is None else step(x, compute)


@contextmanager
def recorded() -> Iterator[Statistics]:
    """Record the statistics of the network that this thread runs in the block, on one batch: parts of one image."""
    statistics = Statistics()
    with _during(statistics.recorder()):
        yield statistics


@contextmanager
def replayed(statistics: Statistics) -> Iterator[None]:
    """Let the same networks use recorded statistics in the block, in this thread; inputs are tiles of that image."""
    with _during(statistics.player()):
        yield


@contextmanager
def _during(step: Callable[[Tensor, Compute], tuple[Tensor, ...]]) -> Iterator[None]:
    token = _PASS.set(step)
    try:
        yield
    finally:
        _PASS.reset(token)


def _repeated(values: tuple[Tensor, ...], samples: int) -> tuple[Tensor, ...]:
    return tuple(value.expand(samples, *value.shape[1:]) for value in values)


def channel_means(x: Tensor) -> Tensor:
    """Return the mean of each channel, ``(N, C)``, of ``x``, ``(N, C, H, W)``, or of the image that it is a tile of."""
    return over_image(x, lambda whole: (reduce(whole, "n c h w -> n c", "mean"),))[0]
