"""What metrics mean, for readers of a page."""

from __future__ import annotations

from i2i.contracts.metric import Metric
from i2i.contracts.scores import metric_of
from i2i.errors import I2IError
from i2i.registry.registry import installed, summary


def meaning(name: str) -> str:
    """Return what a metric measures, or that of a part (``attributes.skin``); empty if its plugin is not installed."""
    try:
        return summary(installed().get(Metric, metric_of(name)))
    except I2IError:
        return ""
