"""Distances to the true translation, for data sets that know it."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from i2i.metric import Metric, Score

RESAMPLES = 1000


class L1(Metric):
    """Mean absolute difference to the true image, for values in [-1, 1]: 0 is equal, 2 the most."""

    name = "l1"
    higher_is_better = False
    paired = True

    def __init__(self) -> None:
        self._values: list[Tensor] = []

    def update(self, *, real: Tensor, fake: Tensor, source: Tensor) -> None:
        """Add images, each ``(N, 3, H, W)``; ``source`` is not used."""
        self._values.append((fake - real).abs().flatten(1).mean(1))

    def compute(self) -> Score:
        """Return the mean over images."""
        return bootstrap(torch.cat(self._values))


class SSIM(Metric):
    """Structural similarity to the true image (Wang et al. 2004): 1 is equal. From torchmetrics, 11 x 11 Gaussian."""

    name = "ssim"
    higher_is_better = True
    paired = True

    def __init__(self) -> None:
        self._values: list[Tensor] = []

    def update(self, *, real: Tensor, fake: Tensor, source: Tensor) -> None:
        """Add images, each ``(N, 3, H, W)`` with sides of 11 px or more; ``source`` is not used."""
        values = structural_similarity_index_measure(fake, real, data_range=2.0, reduction="none")
        self._values.append(torch.as_tensor(values).reshape(-1))

    def compute(self) -> Score:
        """Return the mean over images."""
        return bootstrap(torch.cat(self._values))


def bootstrap(values: Tensor) -> Score:
    """Return the mean of ``values``, ``(N,)``, with its 95 % percentile interval over 1000 seeded resamples."""
    n = len(values)
    index = torch.randint(n, (RESAMPLES, n), generator=torch.Generator().manual_seed(0))
    low, high = values[index].mean(1).quantile(torch.tensor([0.025, 0.975])).tolist()
    return Score(values.mean().item(), low, high, n)
