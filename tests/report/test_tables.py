from __future__ import annotations

import csv

from i2i.report.record import read_record
from i2i.report.tables import write_tables
from tests.report.conftest import write_lines


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_losses_have_a_row_a_step(finished):
    write_tables(read_record(finished))
    found = rows(finished / "losses.csv")
    assert len(found) == 60
    assert found[41] == {
        "stage": "transfer",
        "step": "2",
        "seconds": "1.5",
        "seen/woman": "8",
        "generator/adversarial": "1.0",
        "discriminator/adversarial": "0.5",
        "generator/cycle": "3.0",
    }


def test_scores_have_a_row_a_metric(finished):
    write_tables(read_record(finished))
    found = rows(finished / "scores.csv")
    assert len(found) == 6 * 5
    last = found[-1]
    assert (last["stage"], last["step"], last["group"], last["metric"]) == ("transfer", "20", "overall", "lpips")
    assert (float(last["value"]), last["real_drawings"], last["network"]) == (0.43, "", "AlexNet")
    assert {row["note"] for row in found} == {"", "n too small for l1: 1 of 2"}


def test_losses_that_come_later_have_a_column_too(folder):
    write_lines(
        folder,
        {"stage": "base", "step": 1, "losses": {"generator/cycle": 1.0}},
        {"stage": "transfer", "step": 1, "losses": {"generator/cycle": 1.0, "generator/group": 2.0}},
    )
    write_tables(read_record(folder))
    assert [row["generator/group"] for row in rows(folder / "losses.csv")] == ["", "2.0"]


def test_nothing_is_written_of_nothing(folder):
    write_tables(read_record(folder))
    assert {path.name for path in folder.iterdir()} == {"run.toml"}
