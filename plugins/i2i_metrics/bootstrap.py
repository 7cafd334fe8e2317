"""Intervals: how far a mean could be off by the chance of which images were drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.metric import Score

RESAMPLES = 1000


def bootstrap(values: Tensor) -> Score:
    """Return the mean of ``values``, ``(N,)``, with its 95 % percentile interval over 1000 seeded resamples."""
    n = len(values)
    index = torch.randint(n, (RESAMPLES, n), generator=torch.Generator().manual_seed(0))
    low, high = values[index].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return Score(values.mean().item(), low, high, n)
