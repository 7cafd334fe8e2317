"""The HTML page of a run, built from the files in its folder. Nothing here loads a model."""

from __future__ import annotations

from i2i.report.run import Reporter, write_report

__all__ = ["Reporter", "write_report"]
