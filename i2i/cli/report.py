"""``i2i report``: rewrite the report of a run or a bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from i2i.cli.output import open_console


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN|BENCH", help="A run folder, or the folder of a bench or its "
                                                                     "results.")],
) -> None:  # fmt: skip
    """Rewrite report.html of a run or a bench from the files in its folder, also while it is running or stopped.

    For a run, losses.csv and scores.csv are rewritten too.
    """
    from i2i.bench.page import results_of, write_bench_report
    from i2i.report.run import write_report

    results = results_of(folder)
    path = write_report(folder) if results is None else write_bench_report(results)
    open_console().print(path, highlight=False, markup=False)
