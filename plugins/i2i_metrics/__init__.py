"""Metrics of translated images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i.hookspecs import hookimpl

if TYPE_CHECKING:
    from i2i.metric import Metric


@hookimpl
def register_metrics() -> Iterable[type[Metric]]:
    """Return the metrics."""
    from i2i_metrics.paired import L1, SSIM

    return [L1, SSIM]
