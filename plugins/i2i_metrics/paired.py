"""Distances and similarities to the true translation, for data sets that have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from einops import reduce
from torch import Tensor

from i2i import Case, Metric, Score
from i2i_metrics.bootstrap import bootstrap

LARGEST = 100.0
"""The largest value, so that the signal-to-noise ratio of equal images is finite."""


class L1(Metric):
    """Mean absolute difference to the true image, for values in [-1, 1]: 0 is equal, 2 the maximum."""

    name = "l1"
    paired = True

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        values = to_truth(case, lambda fake, truth: reduce((fake - truth).abs(), "n c h w -> n", "mean"))
        return bootstrap(values, case.fake.names)


class Functional(Metric):
    """A torchmetrics functional that compares two images, as a metric (abstract).

    Attributes:
        functional: Its name in ``torchmetrics.functional.image``; it takes ``data_range`` and ``reduction``.
        arguments: Its other arguments.
        black: The value of black in its input; white is 2 higher.
        smallest: Minimum side of images in pixels.
    """

    higher_is_better = True
    paired = True
    functional: ClassVar[str]
    arguments: ClassVar[Mapping[str, Any]] = {}
    black: ClassVar[float] = 0.0
    smallest: ClassVar[int] = 1

    def obstacle(self, case: Case) -> str:
        """Require images of at least ``smallest`` pixels."""
        side = min(next(iter(case.fake)).shape[-2:])
        return "" if side >= self.smallest else f"images of {side} px are too small: {self.smallest} px are needed"

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        return bootstrap(to_truth(case, self._compare), case.fake.names)

    def _compare(self, fake: Tensor, truth: Tensor) -> Tensor:
        from torchmetrics.functional import image  # takes seconds, too slow for --help

        compare = getattr(image, self.functional)
        seen = (x + (self.black + 1) for x in (fake, truth))
        values: Tensor = compare(*seen, data_range=2.0, reduction="none", **self.arguments)
        return values.clamp(max=LARGEST)


class SSIM(Functional):
    """Structural similarity to the true image (Wang et al. 2004): 1 is equal. From torchmetrics, 11 x 11 Gaussian.

    Computed on values in [-1, 1], not from 0 as in the paper, to stay comparable with scores of earlier versions.
    """

    name = "ssim"
    functional = "structural_similarity_index_measure"
    black = -1.0
    smallest = 11


class MultiScaleSSIM(Functional):
    """Structural similarity to the true image at five scales (Wang et al. 2003): 1 is equal. From torchmetrics."""

    name = "ms_ssim"
    by_default = False
    functional = "multiscale_structural_similarity_index_measure"
    smallest = 176


class PSNR(Functional):
    """Peak signal-to-noise ratio to the true image in decibels, at most 100, for equal images. From torchmetrics."""

    name = "psnr"
    by_default = False
    functional = "peak_signal_noise_ratio"
    arguments = {"dim": (1, 2, 3)}


def to_truth(case: Case, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Compare each fake with its truth, chunk by chunk: ``compare`` maps two ``(n, 3, H, W)`` to ``(n,)``.

    Returns:
        One figure per image, ``(N,)``.
    """
    if case.truth is None:
        raise ValueError("The case has no true images.")
    return torch.cat([compare(fake, truth) for fake, truth in zip(case.fake, case.truth, strict=True)])
