"""``report.html``: one self-contained offline page of a run or a bench: what was done, and what came out."""

from __future__ import annotations

from i2i.report.bench import results_of, write_bench_report
from i2i.report.run import Reporter, write_report

__all__ = ["Reporter", "results_of", "write_bench_report", "write_report"]
