from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.wording import mentions


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of a run that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_writes_the_page_of_a_run_anew(i2i, run):
    (run / "report.html").unlink()
    (run / "model.safetensors").unlink()
    result = i2i("report", run)
    assert (result.status, result.out) == (0, f"{run / 'report.html'}\n")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "not finished" in page
    assert 'id="losses"' in page
    assert (run / "losses.csv").is_file()


def test_a_run_looks_for_symptoms_and_leaves_tables(trained):
    assert '"symptoms": {' in (trained / "metrics.jsonl").read_text(encoding="utf-8")
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert ("None of these faults" in page) != ("Remedy:" in page)
    assert {"losses.csv", "scores.csv"} <= {path.name for path in trained.iterdir()}


def test_a_folder_that_is_no_run(refused, tmp_path):
    mentions(refused("report", tmp_path), tmp_path, "run.toml", "i2i run")


def test_a_damaged_metrics_file(refused, run):
    path = run / "metrics.jsonl"
    path.write_text("oops\n" + path.read_text())
    mentions(refused("report", run), path, "line 1")


def test_writes_the_page_of_a_bench(i2i, tmp_path):
    results = tmp_path / "bench" / "results"
    results.mkdir(parents=True)
    plan = {"backbones": ["unit"], "contenders": {"none": []}, "seeds": 1}
    (results / "bench.json").write_text(json.dumps({"plan": plan, "machine": {}, "cells": [], "tests": {}}))
    for folder in (results, results.parent):
        result = i2i("report", folder)
        assert (result.status, result.out) == (0, f"{results / 'report.html'}\n")
    assert "0 of 1 training runs" in (results / "report.html").read_text(encoding="utf-8")
