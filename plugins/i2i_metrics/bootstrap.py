"""Confidence intervals of scores, over the sampled designs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from i2i import Score

RESAMPLES = 1000
TAILS = (0.025, 0.975)
Z = 1.959964
"""The normal distribution's 97.5 % quantile."""


def bootstrap(values: Tensor, designs: Sequence[str]) -> Score:
    """Return the mean of ``values``, ``(N,)``, with its 95 % percentile interval over 1000 seeded resamples.

    Args:
        values: One figure per image.
        designs: The design of each image; variants of a design are drawn together (see `counts`).
    """
    values, drawn = values.double(), counts(designs)
    value, means = values.mean().item(), drawn @ values / drawn.sum(1)
    low, high = means.quantile(_tails(means)).tolist()
    return Score(value, min(value, low), max(value, high), len(values))


def around(value: float, resampled: Tensor, n: int) -> Score:
    """Return a score with the interval of its bootstrap distribution, ``(B,)``, shifted to have the score as median.

    Distances between sets grow when images are drawn with replacement, since fewer are distinct: the spread is
    meaningful, the location is not. NaN and infinity are left out; if nothing remains, the interval has no width.
    """
    known = resampled[resampled.isfinite()]
    if not len(known):
        return Score(value, value, value, n)
    low, high = (known.quantile(_tails(known)) - known.median()).tolist()
    return Score(value, value + min(0.0, low), value + max(0.0, high), n)


def proportion(hits: Tensor, designs: Sequence[str]) -> Score:
    """Return the share of ``hits``, 0 or 1, ``(N,)``, with Wilson's 95 % interval: wide for small N even if all agree.

    The number of observations is that of designs: variants of a design mostly agree, and a few images do not show how
    much. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    n, p = len(set(designs)), hits.double().mean().item()
    middle, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + Z**2 / n) for sign in (-1, 1))
    return Score(p, max(0.0, low), min(1.0, high), len(hits))


def counts(designs: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> Tensor:
    """Return how often each of N images is in every resample, ``(resamples, N)``; constant if all share one design.

    Whole designs are drawn with replacement, since variants of a design are not independent; with one image per
    design this is the ordinary bootstrap. The global random generator is left alone.
    """
    numbers = _numbers(designs)
    k = int(numbers.max()) + 1
    drawn = torch.randint(k, (resamples, k), generator=torch.Generator().manual_seed(seed))
    once = torch.ones(resamples, k, dtype=torch.double)
    return torch.zeros_like(once).scatter_add_(1, drawn, once)[:, numbers]


def alike(designs: Sequence[str]) -> Tensor:
    """Return 1 for each pair of images of the same design, else 0, ``(N, N)``."""
    numbers = _numbers(designs)
    return (numbers[:, None] == numbers).double()


def _numbers(designs: Sequence[str]) -> Tensor:
    """Number designs in order of appearance, ``(N,)``."""
    numbers = {design: number for number, design in enumerate(dict.fromkeys(designs))}
    return torch.tensor([numbers[design] for design in designs])


def _tails(values: Tensor) -> Tensor:
    return torch.tensor(TAILS, dtype=values.dtype)
