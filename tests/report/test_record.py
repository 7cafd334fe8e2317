from __future__ import annotations

import pytest

from i2i.errors import ConfigError, DataError
from i2i.report.record import read_lines, read_record
from tests.report.conftest import write_lines
from tests.wording import refused


def test_a_finished_run(finished):
    record = read_record(finished)
    assert record.config.backbone["name"] == "ugatit"
    assert record.machine["processor"] == "Abacus"
    assert record.stages == ("base", "transfer")
    assert record.finished
    assert (record.step("base"), record.step("transfer")) == (40, 20)
    assert [step for step, _ in record.of("base", lambda line: line.scores)] == [10, 20, 30, 40]
    line, scores = record.last(lambda line: line.scores)
    assert (line.when, list(scores)) == ("transfer, step 20", ["woman", "kid"])


def test_a_run_that_has_only_begun(folder):
    record = read_record(folder)
    assert record.lines == record.stages == ()
    assert not record.finished
    assert record.step("base") == 0
    assert record.last(lambda line: line.scores) is None


def test_a_last_line_that_was_cut_short_is_left_out(folder):
    path = folder / "metrics.jsonl"
    write_lines(folder, {"stage": "base", "step": 1, "losses": {}})
    path.write_text(path.read_text() + '{"stage": "base", "st')
    assert [line.step for line in read_lines(path)] == [1]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{}\n", ("line 1",)),
        ("[1]\n", ("line 1",)),
        ('{"stage": "base", "step": null}\n', (1,)),
        (
            '{"stage": "base", "step": 1}\nnonsense\n',
            ("line 2",),
        ),
        (
            '{"stage": "base", "step": 1, "scores": {"man": {"l1": {"value": "x"}}}}\n',
            ("line 1", "scores.man.l1.value", "x"),
        ),
        (
            '{"stage": "base", "step": 1, "losses": []}\n',
            ("line 1", "losses"),
        ),
    ],
)
def test_a_damaged_line_is_named(folder, text, named):
    path = folder / "metrics.jsonl"
    path.write_text(text)
    with refused(DataError, path, *named):
        read_record(folder)


@pytest.mark.parametrize(
    "figures",
    [
        {"scores": {"../evil": {}}},
        {"seen": {"../evil": 1}},
        {"symptoms": {"../evil": {}}},
        {"images": {"../evil": {}}},
        {"overfitting": {"../evil": 1.0}},
        {"augmentation": {"a/../evil": 1.0}},
    ],
    ids=lambda figures: next(iter(figures)),
)
def test_a_group_that_is_no_name_is_refused(folder, figures):
    write_lines(folder, {"stage": "base", "step": 1, **figures})
    with refused(DataError, folder / "metrics.jsonl", "line 1", "evil"):
        read_record(folder)


def test_a_folder_that_holds_no_run(tmp_path):
    with refused(ConfigError, tmp_path, "run.toml", "i2i run"):
        read_record(tmp_path)
