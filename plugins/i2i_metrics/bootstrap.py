"""Intervals: how far a score could be off by the chance of which images were drawn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from i2i.metric import Score

RESAMPLES = 1000
TAILS = (0.025, 0.975)
Z = 1.959964
"""The normal distribution's 97.5 % quantile."""


def bootstrap(values: Tensor) -> Score:
    """Return the mean of ``values``, ``(N,)``, with its 95 % percentile interval over 1000 seeded resamples."""
    low, high = values[resamples(len(values))].mean(1).quantile(_tails(values)).tolist()
    return Score(values.mean().item(), low, high, len(values))


def around(value: float, resampled: Tensor, n: int) -> Score:
    """Return a score with the interval of its bootstrap distribution, ``(B,)``, moved so that its median is the score.

    Distances between sets grow when images are drawn with replacement, since fewer are distinct: the spread tells
    something, the place does not. What is no number is left out; where nothing is left, the interval has no width.
    """
    known = resampled[resampled.isfinite()]
    if not len(known):
        return Score(value, value, value, n)
    low, high = (known.quantile(_tails(known)) - known.median()).tolist()
    return Score(value, value + min(0.0, low), value + max(0.0, high), n)


def proportion(hits: Tensor) -> Score:
    """Return the share of ``hits``, ``(N,)`` of 0 and 1, with Wilson's 95 % interval: wide for few, even if all agree.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    n, p = len(hits), hits.double().mean().item()
    middle, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + Z**2 / n) for sign in (-1, 1))
    return Score(p, max(0.0, low), min(1.0, high), n)


def resamples(n: int, count: int = RESAMPLES, seed: int = 0) -> Tensor:
    """Return indices of images drawn with replacement, ``(count, n)``; the global random generator is left alone."""
    return torch.randint(n, (count, n), generator=torch.Generator().manual_seed(seed))


def _tails(values: Tensor) -> Tensor:
    return torch.tensor(TAILS, dtype=values.dtype)
