"""``i2i train`` and ``transfer`` on an existing model, and what ``--resume`` says."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.models.assembly import resolve
from tests.cli.conftest import TINY, train
from tests.wording import check, check_line


@pytest.fixture(scope="module")
def template(folder_root, tmp_path_factory) -> Path:
    """A CycleGAN whose training was told more than the defaults; read it, never write to it."""
    folder = tmp_path_factory.mktemp("runs") / "base"
    told = ["--seed=5", "--batch-size=1", "--steps=7", "--stop-after=7", "--preset=paper", "--backbone=cyclegan"]
    options = ["--size=32", "--device=cpu", "--backbone.channels=4", "--generator.blocks=1", "--sample-every=50"]
    train("train", *options, *told, "--precision=bf16", "--data", folder_root, "--out", folder)
    return folder


@pytest.fixture
def base(template, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(template, tmp_path / "base"))


def resolved(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "run.toml").read_text())


def test_transfer_remembers_how_the_base_was_trained(i2i, base, folder_root, out, untrained) -> None:
    result = i2i("transfer", base, "--data", folder_root, "--out", out, "--transfer-steps=2")
    assert result.status == 0
    check_line(result.out, f"{base}/base.safetensors")
    config = resolved(out)
    expected = {"seed": 5, "batch_size": 1, "steps": 7, "preset": "paper", "precision": "bf16", "transfer_steps": 2}
    assert {name: config[name] for name in expected} == expected
    assert (config["sample_every"], config["transfer"]["branch_lr"]) == (200, 1)


def test_a_transfer_tells_the_base_of_the_model_and_not_that_of_the_data(i2i, base, folder_root, out, untrained):
    result = i2i("transfer", base, "--data", folder_root, "--data.base=man", "--out", out)
    check_line(result.out, "'woman'")


def test_a_run_goes_on_without_the_model_that_it_started_from(i2i, base, out, untrained) -> None:
    assert i2i("train", base, "--out", out).status == 0
    (base / "base.safetensors").unlink()
    check_line(i2i("train", "--resume", out).out, "'woman'")


def test_a_training_of_the_base_alone_mentions_no_transfer(i2i, base, out, untrained) -> None:
    result = i2i("train", base, "--out", out)
    assert "into" in result.out
    assert "transfer" not in result.out


def test_a_kept_model_has_the_data_of_its_run(i2i, base, folder_root, out, untrained) -> None:
    kept = base / "steps" / "base-000007.safetensors"
    kept.parent.mkdir()
    (base / "base.safetensors").rename(kept)
    assert i2i("transfer", kept, "--out", out).status == 0
    assert resolved(out)["data"] == {"name": "folder", "root": str(folder_root)}


@pytest.mark.parametrize("command", ["run", "train", "transfer"])
def test_the_data_is_that_of_the_base_unless_named(i2i, base, folder_root, out, untrained, command) -> None:
    assert i2i(command, base, "--out", out).status == 0
    assert resolved(out)["data"] == {"name": "folder", "root": str(folder_root)}


def test_the_steps_of_the_base_decide_its_third(i2i, folder_root, tmp_path, out) -> None:
    tiny = [option for option in TINY if not option.startswith("--transfer-steps")]
    assert i2i("train", *tiny, "--data", folder_root, "--out", tmp_path / "base").status == 0
    arguments = ["--data", folder_root, "--out", out, "--config", tmp_path / "base" / "run.toml"]
    check_line(i2i("transfer", tmp_path / "base", *arguments).out, "transfer: 1", 6)


def test_a_preset_decides_the_pace_anew_and_the_model_stays(i2i, base, folder_root, out, untrained) -> None:
    assert i2i("transfer", base, "--data", folder_root, "--out", out, "--preset=quick").status == 0
    config = resolved(out)
    assert (config["batch_size"], config["steps"], "transfer_steps" in config, config["size"]) == (4, 500, False, 32)
    assert (config["seed"], config["transfer"]["branch_lr"]) == (5, 3)


@pytest.mark.parametrize("command", ["train", "run"])
def test_training_goes_on_from_a_model(i2i, base, folder_root, out, untrained, command) -> None:
    options = ["--backbone.pool_size=7", "--steps=9"]  # an option of CycleGAN, which only the model names
    assert i2i(command, "--data", folder_root, *options, base, "--out", out).status == 0
    config = resolved(out)
    assert (config["backbone"]["name"], config["backbone"]["pool_size"], config["backbone"]["channels"]) == (
        "cyclegan", 7, 4,
    )  # fmt: skip
    assert (config["steps"], config["seed"], config["base_model"]) == (9, 5, str(base / "base.safetensors"))
    assert config["stages"] == (["base"] if command == "train" else ["base", "transfer"])


def test_the_help_shows_the_options_of_the_model(i2i, base) -> None:
    text = i2i("train", base, "--help-all").out
    assert re.search(r"--backbone\.channels N\n.*default: 4", text)
    assert "--backbone.pool_size" in text


def test_a_finished_transfer_goes_on(i2i, trained, folder_root, out) -> None:
    result = i2i("transfer", trained, "--data", folder_root, "--out", out, "--transfer-steps=1")
    assert result.status == 0
    check_line(result.out, f"{trained}/model.safetensors", "further")
    assert (out / "model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()


def test_going_on_elsewhere_is_told(i2i, folder_root, out) -> None:
    stopped = i2i("run", *TINY, "--data", folder_root, "--out", out, "--stop-after=2")
    check(stopped.out.splitlines()[-1], f"i2i run --resume {out}")
    assert "threads" not in i2i("run", "--resume", out, "--stop-after=2").out
    torch.set_num_threads(2)
    try:
        result = i2i("run", "--resume", out, "--stop-after=2")
    finally:
        torch.set_num_threads(1)
    check_line(result.out, "threads", 2, 1)


def test_the_command_line_and_the_run_resolve_once_each(i2i, folder_root, out, monkeypatch) -> None:
    """Once for the options that the command has, then once for the run."""
    calls = []

    def counting(given, registry, fitting=True):
        calls.append(fitting)
        return resolve(given, registry, fitting)

    monkeypatch.setattr("i2i.models.assembly.resolve", counting)
    monkeypatch.setattr("i2i.runs.setup.resolve", counting)
    assert i2i("train", *TINY, "--data", folder_root, "--out", out, "--stop-after=1").status == 0
    assert calls == [False, True]
