"""Losses and scores as CSV for spreadsheets and data frames."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.report.dot_plots import score_rows
from i2i.report.record import Record
from i2i.storage.files import whole_file
from i2i.storage.run_folder import LOSSES_TABLE, SCORES_TABLE


def write_tables(record: Record) -> None:
    """Write ``losses.csv`` (one row per step) and ``scores.csv`` (one row per score) from ``metrics.jsonl``.

    Raises:
        DataError: They cannot be written.
    """
    _write(record.folder / LOSSES_TABLE, loss_rows(record))
    _write(record.folder / SCORES_TABLE, score_rows(record))


def loss_rows(record: Record) -> list[dict[str, Any]]:
    """Return one flat row per step: stage, step, seconds, images seen so far per group, and losses."""
    return [
        {
            "stage": line.stage,
            "step": line.step,
            "seconds": line.seconds,
            **{f"seen/{group}": number for group, number in (line.seen or {}).items()},
            **line.losses,
        }
        for line in record.lines
        if line.losses is not None
    ]


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the union of their columns; without rows, write no file."""
    if not rows:
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
