"""The report of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from i2i.errors import I2IError
from i2i.hooks import hookimpl
from i2i.report.charts import gauge_charts, loss_charts, score_charts
from i2i.report.dot_plots import dot_plots
from i2i.report.facts import facts, image_rows, status, title
from i2i.report.findings import findings, looked_for
from i2i.report.metrics import meaning
from i2i.report.page import write_page
from i2i.report.pictures import film, galleries, whole
from i2i.report.record import Record, read_record
from i2i.report.tables import write_tables
from i2i.report.verdict import verdict
from i2i.storage.run_folder import CONFIG_FILE, REPORT_FILE, SAMPLES, STAGE_FILES
from i2i.storage.toml import to_toml

if TYPE_CHECKING:
    from i2i.contracts.run_events import RunView


class Reporter:
    """Writes the report after evaluations, when training stops, and when a stage has saved its model.

    A report that fails ends no run.

    Args:
        console: Receives the warning if the report fails; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True)

    @hookimpl(trylast=True)
    def on_evaluate(self, run: RunView, step: int, scores: Mapping[str, Any]) -> None:
        """Write the page after other listeners have written its data; that of the end comes with the stage's model."""
        if step < run.steps:
            self._write(run.folder)

    @hookimpl(trylast=True)
    def on_train_end(self, run: RunView) -> None:
        """Write the page if the run was stopped; a finished one writes it with its model.

        A run also stops because its folder vanished.
        """
        if run.step < run.steps and (run.folder / CONFIG_FILE).exists():
            self._write(run.folder)

    @hookimpl(trylast=True)
    def on_checkpoint(self, run: RunView, path: Path) -> None:
        """Write the page once a stage has its model, which is what makes a run finished."""
        if path == run.folder / STAGE_FILES[run.stage]:
            self._write(run.folder)

    def _write(self, folder: Path) -> None:
        try:
            write_report(folder)
        except Exception as error:
            reason = str(error) if isinstance(error, I2IError) else f"{type(error).__name__}: {error}"
            warning = f"The report was not written ({reason}). The run goes on. Try again with: i2i report {folder}"
            self._console.print(warning, style="yellow", highlight=False, markup=False)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and the tables of losses and scores from the files in a run folder.

    Args:
        folder: The folder of a running, stopped or finished run.

    Returns:
        The path of the page.

    Raises:
        ConfigError: It is not a run folder.
        DataError: A file in it is damaged, or the page cannot be written.
    """
    record = read_record(folder)
    write_tables(record)
    return write_page(folder / REPORT_FILE, "run.html.j2", **_content(record))


def _content(record: Record) -> dict[str, Any]:
    known = {"versions": record.versions, "machine": record.machine}
    tables = {name: table for name, table in known.items() if table}
    stages = record.stages
    result = next((path for path in _results(record) if path.is_file()), Path())
    shown, found, looked, plots = galleries(result), findings(record), looked_for(record), dot_plots(record)
    return {
        "title": title(record),
        "status": status(record),
        "verdict": verdict(status(record), plots, found, bool(looked)),
        "findings": found,
        "looked_for": looked,
        "galleries": shown,
        "result": "" if shown else whole(result),
        "dot_plots": plots,
        "meanings": {plot.metric: meaning(plot.metric) for plot in plots},
        "score_charts": [(stage, score_charts(record, stage)) for stage in stages],
        "film": film(record.folder, record.config.stages),
        "loss_charts": [(stage, loss_charts(record, stage)) for stage in stages],
        "gauge_charts": [(stage, gauge_charts(record, stage)) for stage in stages],
        "facts": facts(record),
        "images": image_rows(record),
        "config": to_toml({**record.config.model_dump(mode="json"), **tables}),
    }


def _results(record: Record) -> list[Path]:
    """Return the possible paths of the final grid, last stage first."""
    return [record.folder / SAMPLES / f"{stage}.png" for stage in reversed(record.config.stages)]
