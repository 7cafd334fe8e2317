"""``i2i report``: write the page of a run or a bench anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN|BENCH", help="A run folder, or the folder of a bench or its "
                                                                     "results.")],
) -> None:  # fmt: skip
    """Write report.html of a run or a bench anew, from the files in its folder; it may have been stopped, or go on.

    A run also gets losses.csv and scores.csv.
    """
    from i2i.bench.page import results_of, write_bench_report
    from i2i.report.run import write_report

    results = results_of(folder)
    path = write_report(folder) if results is None else write_bench_report(results)
    Console(soft_wrap=True).print(path, highlight=False, markup=False)
