"""``i2i report``: write the page of a run anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, also of a run that was stopped.")],
) -> None:
    """Write report.html of a run anew, and losses.csv and scores.csv, from the files in its folder."""
    from i2i.report import write_report

    Console(soft_wrap=True).print(write_report(run), highlight=False, markup=False)
