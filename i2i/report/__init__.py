"""The HTML report of a run, built from the files in its folder without loading a model."""

from __future__ import annotations

from i2i.report.run import Reporter, write_report

__all__ = ["Reporter", "write_report"]
