"""Metrics of translated images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Metric


@hookimpl
def register_metrics() -> Iterable[type[Metric]]:
    """Return the metrics."""
    from i2i_metrics.accuracy import GroupAccuracy
    from i2i_metrics.attributes import Attributes
    from i2i_metrics.distances import Frechet, Kernel
    from i2i_metrics.fid import FID
    from i2i_metrics.identity import FaceSimilarity
    from i2i_metrics.paired import L1, PSNR, SSIM, MultiScaleSSIM
    from i2i_metrics.perceptual import LPIPS, Diversity
    from i2i_metrics.structure import Structure

    return [
        *(L1, SSIM, LPIPS, Kernel, Frechet, FID, GroupAccuracy, Attributes, Diversity, Structure, FaceSimilarity),
        *(MultiScaleSSIM, PSNR),
    ]
