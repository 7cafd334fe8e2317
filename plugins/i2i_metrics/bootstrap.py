"""Intervals: how far a score could be off by the chance of which designs were drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from i2i.metric import Score

RESAMPLES = 1000
TAILS = (0.025, 0.975)
Z = 1.959964
"""The normal distribution's 97.5 % quantile."""


def bootstrap(values: Tensor, designs: Sequence[str]) -> Score:
    """Return the mean of ``values``, ``(N,)``, with its 95 % percentile interval over 1000 seeded resamples.

    Args:
        values: A figure an image.
        designs: What each image shows; variants of one design are drawn together (see `counts`).
    """
    values, drawn = values.double(), counts(designs)
    value, means = values.mean().item(), drawn @ values / drawn.sum(1)
    low, high = means.quantile(_tails(means)).tolist()
    return Score(value, min(value, low), max(value, high), len(values))


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


def proportion(hits: Tensor, designs: Sequence[str]) -> Score:
    """Return the share of ``hits``, ``(N,)`` of 0 and 1, with Wilson's 95 % interval: wide for few, even if all agree.

    Variants of one design tend to agree, so that they tell less than as many designs would; the interval is that of
    `independent` images. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    n, p = independent(hits, designs), hits.double().mean().item()
    middle, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + Z**2 / n) for sign in (-1, 1))
    return Score(p, max(0.0, low), min(1.0, high), len(hits))


def independent(hits: Tensor, designs: Sequence[str]) -> float:
    """Return how many independent images would tell as much of a share as ``hits``, ``(N,)`` of 0 and 1.

    Their number, divided by how much more the share varies between designs than it would if images were independent
    (Rao & Scott 1992, "A simple method for the analysis of clustered binary data", Biometrics 48); where all agree, so
    that this cannot be told, the number of designs.
    """
    whose = _numbers(designs)
    n, k, p = len(hits), int(whose.max()) + 1, hits.double().mean()
    if k == 1 or p in (0, 1):
        return k
    off = torch.zeros(k, dtype=torch.double).index_add_(0, whose, hits.double() - p)
    excess = k / (k - 1) * off.square().sum() / n**2 / (p * (1 - p) / (n - 1))
    return n / max(1.0, excess.item())


def counts(designs: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> Tensor:
    """Return how often each of N images is in every resample, ``(resamples, N)``; of one design all do not vary.

    Whole designs are drawn with replacement, since variants of one are no independent images; where every image is a
    design of its own, that is the ordinary bootstrap. The global random generator is left alone.
    """
    whose = _numbers(designs)
    k = int(whose.max()) + 1
    drawn = torch.randint(k, (resamples, k), generator=torch.Generator().manual_seed(seed))
    often = torch.zeros(resamples, k, dtype=torch.double).scatter_add_(
        1, drawn, torch.ones(1).double().expand(resamples, k)
    )
    return often[:, whose]


def _numbers(designs: Sequence[str]) -> Tensor:
    """Number designs in the order in which they come, ``(N,)``."""
    numbers = {design: number for number, design in enumerate(dict.fromkeys(designs))}
    return torch.tensor([numbers[design] for design in designs])


def _tails(values: Tensor) -> Tensor:
    return torch.tensor(TAILS, dtype=values.dtype)
