"""Distances to the true translation, for data sets that know it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from i2i import Case, Metric, Score
from i2i_metrics.bootstrap import bootstrap


class L1(Metric):
    """Mean absolute difference to the true image, for values in [-1, 1]: 0 is equal, 2 the most."""

    name = "l1"
    paired = True

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        values = to_truth(case, lambda fake, truth: (fake - truth).abs().flatten(1).mean(1))
        return bootstrap(values, case.fake.names)


class SSIM(Metric):
    """Structural similarity to the true image (Wang et al. 2004): 1 is equal. From torchmetrics, 11 x 11 Gaussian.

    Sides are 11 px or more.
    """

    name = "ssim"
    higher_is_better = True
    paired = True

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        return bootstrap(to_truth(case, _similarity), case.fake.names)


def to_truth(case: Case, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Compare each fake with its truth, chunk by chunk: ``compare`` maps two ``(n, 3, H, W)`` to ``(n,)``.

    Returns:
        One figure an image, ``(N,)``.
    """
    if case.truth is None:
        raise ValueError("The case has no true images.")
    return torch.cat([compare(fake, truth) for fake, truth in zip(case.fake, case.truth, strict=True)])


def _similarity(fake: Tensor, truth: Tensor) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure  # seconds, which no --help shall wait

    values = structural_similarity_index_measure(fake, truth, data_range=2.0, reduction="none")
    return torch.as_tensor(values).reshape(-1)
