from __future__ import annotations

import json

import pytest

from i2i.report import HEIGHT, WIDTH, _curve, _gauges, write_report
from i2i.run import create


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ([2.0, 1.0, 0.0], f"0.0,0.0 {WIDTH / 2},{HEIGHT / 2} {WIDTH}.0,{HEIGHT}.0"),
        ([-1.0, 1.0], f"0.0,{HEIGHT}.0 {WIDTH}.0,0.0"),
        ([3.0], f"0.0,0.0 {WIDTH}.0,0.0"),
        ([0.0], f"0.0,{HEIGHT}.0 {WIDTH}.0,{HEIGHT}.0"),
    ],
)
def test_a_curve_reaches_from_zero_or_its_lowest_value_to_its_highest(values, points):
    curve = _curve("x", values)
    assert curve.points == points
    assert (curve.first, curve.last) == (values[0], values[-1])


def test_overfitting_and_augmentation_have_a_curve_each_and_stage():
    entries = [
        {"stage": "base", "step": 1, "losses": {"generator/cycle": 1.0}},
        {"stage": "base", "step": 1, "overfitting": {"woman": 0.5}, "augmentation": {}},
        {"stage": "transfer", "step": 1, "overfitting": {"kid": 0.1}, "augmentation": {"b/kid": 0.0}},
        {"stage": "transfer", "step": 2, "overfitting": {"kid": 0.2}, "augmentation": {"b/kid": 0.4}},
    ]
    curves = {curve.name: (curve.first, curve.last) for curve in _gauges(entries, "transfer")}
    assert curves == {"overfitting of kid": (0.1, 0.2), "augmentation of b/kid": (0.0, 0.4)}
    assert list(curves) == ["overfitting of kid", "augmentation of b/kid"]
    assert [curve.name for curve in _gauges(entries, "base")] == ["overfitting of woman"]


def test_the_page_shows_what_was_measured(tmp_path, tiny, registry):
    run = create(tmp_path / "run", tiny, registry)
    line = {"stage": "base", "step": 2, "overfitting": {"woman": 0.75}, "augmentation": {}}
    (run.folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    page = write_report(run).read_text()
    assert "Overfitting of the discriminators in stage base" in page
    assert "overfitting of woman: 0.750 to 0.750" in page
    assert "in stage transfer" not in page
