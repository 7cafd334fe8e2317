from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from i2i.models.checkpoint import load
from i2i.storage.toml import read_toml
from tests.wording import check_line, mentions

from .conftest import TINY, train

SMALL = [option for option in TINY if not option.startswith("--device")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, folder_root):
    """A transfer compared with a variant of another; read it, never write to it."""
    folder = tmp_path_factory.mktemp("bench") / "bench"
    chosen = ("--transfers", "none", "--variant", "gentle=--transfer branch --transfer.branch_lr 0.5")
    told = ("--seeds", 2, "--device", "cpu", "--out", folder)
    train("bench", *chosen, *told, "--", *SMALL, "--evaluate.metrics", "structure", "--data", folder_root)
    return folder


def test_every_cell_is_trained_scored_and_told(folder):
    names = {"base", "none-0", "none-1", "gentle-0", "gentle-1"}
    assert {path.name for path in (folder / "cells" / "ugatit").iterdir()} == names
    told = json.loads((folder / "results" / "bench.json").read_text())
    assert [(cell["contender"], cell["seed"]) for cell in told["cells"]] == [
        ("none", 0), ("gentle", 0), ("none", 1), ("gentle", 1)
    ]  # fmt: skip
    assert told["machine"]["device"] == "cpu"
    none, gentle = told["cells"][:2]
    assert [(model["step"], model["final"]) for model in gentle["models"]] == [(1, False), (2, True)]
    assert gentle["models"][0]["seen"] == {"woman": 3 * 2 + 2, "man": 2, "kid": 2}
    assert none["models"][0]["seen"] == {"woman": 6, "man": 0, "kid": 0}
    assert 0 < gentle["seconds"] < 60
    assert set(gentle["models"][1]["scores"]) == {"woman", "man", "kid"}


@pytest.mark.full
def test_a_cell_is_what_its_command_makes(i2i, folder, tmp_path):
    told = json.loads((folder / "results" / "bench.json").read_text())
    _, *command, _ = told["cells"][3]["command"].split()
    assert i2i(*command, tmp_path / "again").status == 0
    made, again = (
        path / "model.safetensors" for path in (folder / "cells" / "ugatit" / "gentle-1", tmp_path / "again")
    )
    assert made.read_bytes() == again.read_bytes()
    assert read_toml(made.with_name("run.toml"))["seed"] == 1


def test_the_tables_and_figures_are_complete(folder):
    results = folder / "results"
    lines = list(csv.DictReader((results / "bench.csv").read_text().splitlines()))
    assert {line["contender"] for line in lines} == {"none", "gentle"}
    assert "4 of 4 training runs" in (results / "report.html").read_text()
    text = (results / "bench.md").read_text()
    metrics = {line["metric"] for line in lines if line["value"]}
    assert all(f"### {metric}\n" in text for metric in metrics)
    assert metrics
    for name in ("ugatit", *(f"ugatit-{metric}{end}" for metric in metrics for end in ("", "-seen"))):
        with Image.open(results / f"{name}.png") as image:
            assert image.convert("L").getextrema()[0] < image.convert("L").getextrema()[1]


@pytest.mark.full
def test_what_is_done_stays_and_what_was_cut_off_goes_on(i2i, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    cut, kept = (copy / "cells" / "ugatit" / name for name in ("gentle-1", "gentle-0"))
    expected = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").unlink()
    before = (kept / "model.safetensors").stat().st_mtime_ns
    assert i2i("bench", "--resume", copy).status == 0
    assert (cut / "model.safetensors").read_bytes() == expected
    assert (kept / "model.safetensors").stat().st_mtime_ns == before


def test_a_variant_has_a_label_and_options_of_its_own(folder):
    model = load(folder / "cells" / "ugatit" / "gentle-0")
    assert model.components.config.transfer["branch_lr"] == 0.5
    assert "| gentle | 0 |" in (folder / "results" / "bench.md").read_text()


def test_another_plan_does_not_get_into_a_bench(refused, folder, tmp_path):
    mentions(refused("bench", "--transfers", "joint", "--out", folder), folder / "bench.toml", f"--resume {folder}")
    (tmp_path / "notes.txt").touch()
    mentions(refused("bench", "--out", tmp_path), tmp_path, "--out")
    mentions(refused("bench", "--resume", tmp_path), tmp_path, "bench.toml")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--transfers", "none,brunch"], ("brunch", "branch")),
        (["--backbones", "ugatti"], ("ugatti", "ugatit")),
        (["--reference", "brench"], ("brench", "branch")),
        (["--variant", "average"], ("--variant 'average'",)),
        (
            ["--variant", "average=--ema 0.9"],
            ("--ema 0.9", "--transfer"),
        ),
        (["--variant", "a/b=--transfer branch"], ("a/b",)),
        (["--", "--backbone", "cyclegan"], ("--backbone", "--backbones")),
        (["--", "--backbone=cyclegan"], ("--backbone", "--backbones")),
        (["--", "--threads", "1"], ("--threads",)),
        (["--variant", "late=--transfer branch --seed 7"], ("--seed", "--seeds")),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_trained(refused, tmp_path, options, named):
    mentions(refused("bench", "--out", tmp_path / "bench", *options), *named)
    assert not (tmp_path / "bench").exists()


@pytest.mark.full
def test_jobs_train_the_same_models_and_a_cell_that_fails_is_named(i2i, folder, folder_root, tmp_path):
    gentle, broken = (f"--transfer branch --transfer.branch_lr {rate}" for rate in ("0.5", "inf"))
    variants = ("--variant", f"broken={broken}", "--variant", f"gentle={gentle}")
    chosen = ("--jobs", 2, "--threads", 1, "--transfers", "none", *variants, "--seeds", 1, "--device", "cpu")
    options = (*SMALL, "--evaluate.metrics", "structure", "--data", folder_root)
    result = i2i("bench", *chosen, "--out", tmp_path / "jobs", "--", *options)
    assert result.status == 2
    check_line(result.out, "ugatit broken seed 0", "branch_lr", "inf")
    check_line(result.err, "ugatit broken seed 0", f"--resume {tmp_path / 'jobs'}")
    told = json.loads((tmp_path / "jobs" / "results" / "bench.json").read_text())
    assert [cell["contender"] for cell in told["cells"]] == ["none", "gentle"]
    for cell in ("none-0", "gentle-0"):
        one, other = (root / "cells" / "ugatit" / cell for root in (folder, tmp_path / "jobs"))
        desired, actual = (load_file(path / "model.safetensors") for path in (one, other))
        assert desired.keys() == actual.keys()
        assert all(torch.equal(actual[name], tensor) for name, tensor in desired.items())
        assert (one / "bench-scores.json").read_text() == (other / "bench-scores.json").read_text()
