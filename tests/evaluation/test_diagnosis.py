from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console

from i2i.config.options import merge
from i2i.evaluation.diagnosis import count, diagnose
from i2i.runs.listeners import diagnosis
from i2i.runs.listeners.diagnosis import Diagnosis
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import create_run
from tests.wording import check_line


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=400, soft_wrap=True)


@pytest.fixture(scope="module")
def given(tiny):
    return merge(tiny, {"steps": 1, "transfer_steps": 1, "backbone": {"name": "cyclegan"}})


@pytest.fixture(scope="module")
def run(tmp_path_factory, given, registry):
    """A finished run."""
    run = create_run(tmp_path_factory.mktemp("runs") / "run", given, registry)
    run.execute([Diagnosis(Console(file=io.StringIO())), MetricsFile()])
    return run


def lines(run):
    found = map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in found if "symptoms" in line]


def test_every_stage_ends_with_figures_of_every_group(run):
    assert [(line["stage"], line["step"]) for line in lines(run)] == [("base", 1), ("transfer", 1)]
    for line in lines(run):
        assert line["symptoms"].keys() == {"woman", "man", "kid"}
        # two held-out images are too few to look for blobs
        assert line["symptoms"]["kid"].keys() == {"inversion", "checkerboard", "sameness", "copying"}
    assert lines(run)[0]["images"]["man"] == {"train a": 3, "train b": 2, "test a": 2, "test b": 2, "pairs": 0}


def test_groups_that_the_model_lacks_are_translated_by_its_base(run):
    base = run.base_model()
    assert diagnose(base, run.dataset) == lines(run)[0]["symptoms"]
    assert diagnose(run.model, run.dataset) == lines(run)[1]["symptoms"]


def test_symptoms_are_warned_of_at_the_end_of_a_stage(tmp_path, console, monkeypatch, given, registry):
    found = {"man": {"copying": 0.81}, "woman": {"copying": 0.79}, "kid": {"copying": 1.0}}
    monkeypatch.setattr(diagnosis, "diagnose", lambda model, dataset: found)
    run = create_run(tmp_path / "run", given, registry)
    run.model, run.stage, run.steps = None, "base", 5
    Diagnosis(console).on_evaluate(run, 4, {})
    assert console.file.getvalue() == ""
    Diagnosis(console).on_evaluate(run, 5, {})
    named = ["kid 1.00", "man 0.81", "0.8", "--steps", "--loss.identity", "--loss.cycle"]
    check_line(console.file.getvalue(), *named)
    assert console.file.getvalue().count("\n") == 1
    assert [line["symptoms"] for line in lines(run)] == [found, found]


def test_looking_does_not_disturb_training(tmp_path, run, given, registry):
    plain = create_run(tmp_path / "plain", given, registry)
    plain.execute()
    for name in ("base.safetensors", "model.safetensors"):
        assert (plain.folder / name).read_bytes() == (run.folder / name).read_bytes()


def test_looking_leaves_randomness_and_mode_alone(run):
    run.model.backbone.train()
    before = torch.get_rng_state()
    diagnose(run.model, run.dataset)
    assert torch.equal(torch.get_rng_state(), before)
    assert run.model.backbone.training


def test_counts_what_a_group_has(run):
    assert count(run.dataset, "woman") == {"train a": 8, "train b": 8, "test a": 2, "test b": 2, "pairs": 0}
