from __future__ import annotations

from i2i.report.facts import facts, image_rows, status, title
from i2i.report.record import read_record
from tests.report.conftest import write_lines
from tests.wording import check


def test_a_finished_run(finished):
    record = read_record(finished)
    assert title(record) == "ugatit, transfer branch"
    assert status(record) == "finished"
    assert facts(record) == {
        "Folder": str(finished),
        "Backbone": "ugatit (channels 16)",
        "Transfer": "branch",
        "Data": "emoji",
        "Images": "64 px, 4 per step",
        "Steps": "base 40, transfer 20",
        "Time": "base 1 min, transfer 30 s",
        "Options": "seed 0",
        "Machine": "Abacus, Linux",
        "Computed": "on cpu, full precision, 1 thread",
        "Versions": "i2i 0.1.0, torch 2.14.1",
    }
    assert image_rows(record) == [
        ["images of", "train a", "train b", "test a", "test b", "pairs"],
        ["woman", "9", "5", "6", "6", "6"],
        ["kid", "9", "5", "2", "2", "2"],
    ]


def test_a_run_that_was_rolled_back(folder):
    write_lines(folder, {"stage": "base", "step": 1}, {"stage": "base", "step": 2, "halvings": 2})
    assert facts(read_record(folder))["Rolled back"] == "base 2 (each time with half the learning rate)"


def test_a_run_that_was_stopped(folder):
    check(status(read_record(folder)), "base", "0 of 40")
    write_lines(folder, {"stage": "base", "step": 40, "losses": {}}, {"stage": "transfer", "step": 3, "losses": {}})
    check(status(read_record(folder)), "transfer", "3 of 20")
    write_lines(folder, {"stage": "base", "step": 40, "losses": {}}, {"stage": "transfer", "step": 20, "losses": {}})
    check(status(read_record(folder)))
    assert image_rows(read_record(folder)) == []
