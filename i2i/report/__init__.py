"""``report.html``: one self-contained offline page that shows what a run did and what came out."""

from __future__ import annotations

from i2i.report.run import Reporter, write_report

__all__ = ["Reporter", "write_report"]
