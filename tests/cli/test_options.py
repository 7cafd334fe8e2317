"""Options of components as options of commands: how they reach run.toml, what wins, and what the help shows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from i2i.cli.options import data_section, nested
from i2i.errors import ConfigError
from tests.cli.conftest import TINY
from tests.wording import check, refused


@pytest.fixture
def resolved(i2i, folder_root, out, untrained):
    """Run with some arguments; return run.toml."""

    def call(*arguments: object) -> dict[str, Any]:
        result = i2i("run", *TINY, "--data", folder_root, "--out", out, "--overwrite", *arguments)
        assert (result.status, result.err) == (0, "")
        return tomllib.loads((out / "run.toml").read_text())

    return call


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        (tmp_path / "my.toml").write_text(text)
        return tmp_path / "my.toml"

    return write


def test_options_reach_the_resolved_file(resolved, folder_root) -> None:
    config = resolved("--steps=7", "--seed", 3, "--checkpoint-every=9", "--transfer.branch_lr=10", "--data.base=man")
    assert (config["steps"], config["seed"], config["checkpoint_every"]) == (7, 3, 9)
    assert config["transfer"]["branch_lr"] == 10
    assert config["data"] == {"name": "folder", "root": str(folder_root), "base": "man"}
    assert config["backbone"]["channels"] == 4
    assert "channels" not in config["generator"]  # which takes the backbone's


def test_weights_and_options_of_losses(resolved) -> None:
    loss = resolved("--loss.identity", 5, "--loss.adversarial.mode", "hinge", "--loss.cam=0")["loss"]
    assert (loss["identity"], loss["cam"], loss["cycle"]) == ({"weight": 5}, {"weight": 0}, {"weight": 10})
    assert loss["adversarial"] == {"weight": 1, "mode": "hinge", "discriminator_weight": 1, "r1": 0}


def test_metrics_and_their_options(resolved) -> None:
    config = resolved("--evaluate.every=2", "--evaluate.metrics=l1, kernel", "--metric.kernel.network=alexnet:relu3",
                      "--evaluate.best=kernel")  # fmt: skip
    assert config["evaluate"] == {"every": 2, "best": "kernel", "metrics": ["l1", "kernel"]}
    assert config["metric"] == {"kernel": {"network": "alexnet:relu3"}}
    assert resolved("--overwrite")["metric"] == {}


def test_commas_separate_the_items_of_a_tuple(resolved) -> None:
    config = resolved("--backbone.betas", "0.4, 0.9", "--transfer.branch_points=down.0,up.*")
    assert config["backbone"]["betas"] == [0.4, 0.9]
    assert config["transfer"]["branch_points"] == ["down.0", "up.*"]
    assert resolved("--backbone.betas=[0.3, 0.8]")["backbone"]["betas"] == [0.3, 0.8]


def test_out_has_a_short_form(i2i, folder_root, out, untrained) -> None:
    assert i2i("run", *TINY, "--data", folder_root, "-o", out).status == 0
    assert (out / "run.toml").is_file()


def test_switches_have_two_sides(resolved) -> None:
    assert resolved()["backbone"]["light"] is True
    assert resolved("--backbone.no-light")["backbone"]["light"] is False
    assert resolved("--backbone.light")["backbone"]["light"] is True


def test_options_of_the_parts_of_a_discriminator(resolved) -> None:
    options = ("--discriminator.patch.layers", 1, "--discriminator.pixel_2.weight=0.5")
    assert resolved("--discriminator", "patch+pixel/2", *options)["discriminator"] == {
        "name": "patch+pixel/2",
        "patch": {"layers": 1, "weight": 1.0},
        "pixel_2": {"weight": 0.5},
    }


def test_a_switch_that_the_data_set_decides_is_left_open_unless_given(resolved) -> None:
    assert "flip" not in resolved()
    assert resolved("--no-flip")["flip"] is False
    assert resolved("--flip")["flip"] is True


def test_lists_are_json(resolved) -> None:
    assert resolved("--backbone.betas", "[0.1, 0.2]")["backbone"]["betas"] == [0.1, 0.2]


def test_tables_are_json() -> None:
    assert nested({"data__shots": '{"man": [7, 5]}'}) == {"data": {"shots": {"man": [7, 5]}}}


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(resolved, toml) -> None:
    file = toml("seed = 5\nsample_every = 11\n[backbone]\nchannels = 3\nlr = 0.5\n[loss]\nidentity = 4\ncycle = 3")
    config = resolved("--config", file, "--seed=6", "--loss.identity=2")
    assert (config["seed"], config["sample_every"], config["checkpoint_every"]) == (6, 11, 200)
    assert (config["backbone"]["channels"], config["backbone"]["lr"]) == (4, 0.5)
    assert (config["loss"]["identity"]["weight"], config["loss"]["cycle"]["weight"]) == (2, 3)


def test_the_file_may_choose_components_by_name_alone(resolved, toml, folder_root) -> None:
    config = resolved("--config", toml(f'backbone = "cyclegan"\ntransfer = "none"\ndata = "{folder_root}"'))
    assert (config["backbone"]["name"], config["transfer"]["name"]) == ("cyclegan", "none")
    assert config["data"]["name"] == "folder"


def test_a_component_of_the_file_gets_its_options_on_the_command_line(resolved, toml) -> None:
    file = toml('generator = "resnet"\n[backbone]\nname = "cyclegan"')
    config = resolved("--config", file, "--backbone.pool_size=7", "--generator.branch_depth=1")
    assert (config["backbone"]["pool_size"], config["generator"]["branch_depth"]) == (7, 1)


def test_options_of_a_generator_that_an_option_of_the_backbone_names(i2i, folder_root, out, untrained) -> None:
    arguments = ["--backbone=cyclegan", "--backbone.generator=unet", "--generator.depth=4", "--device=cpu", "--size=32"]
    assert i2i("run", *arguments, "--data", folder_root, "--out", out).status == 0
    assert tomllib.loads((out / "run.toml").read_text())["generator"]["depth"] == 4


@pytest.mark.parametrize("extra", [[], ["--backbone=cyclegan"], ["--transfer.judge=classification"]])
def test_a_resolved_file_reproduces_itself(i2i, resolved, out, tmp_path, extra) -> None:
    resolved(*extra)
    assert i2i("run", "--config", out / "run.toml", "--out", tmp_path / "again").status == 0
    assert (tmp_path / "again" / "run.toml").read_text() == (out / "run.toml").read_text()


def test_presets(resolved) -> None:
    quick, paper = resolved("--preset=quick"), resolved("--preset=paper")
    assert (quick["loss"]["cam"]["weight"], paper["loss"]["cam"]["weight"]) == (10, 1000)
    assert (quick["size"], paper["size"]) == (32, 32)  # what is given wins
    assert (quick["backbone"]["lr"], paper["backbone"]["lr"]) == (5e-4, 1e-4)


def test_train_and_transfer_are_the_stages_of_run(i2i, folder_root, trained, tmp_path, untrained) -> None:
    assert i2i("train", *TINY, "--data", folder_root, "--out", tmp_path / "base").status == 0
    base = tomllib.loads((tmp_path / "base" / "run.toml").read_text())
    assert base["stages"] == ["base"]
    arguments = [
        "--data",
        folder_root,
        "--transfer-steps=9",
        "--transfer.judge=classification",
        "--out",
        tmp_path / "new",
    ]
    assert i2i("transfer", trained / "base.safetensors", *arguments).status == 0
    new = tomllib.loads((tmp_path / "new" / "run.toml").read_text())
    assert (new["stages"], new["base_model"]) == (["transfer"], str(trained / "base.safetensors"))
    assert (new["generator"], new["transfer"]["judge"]) == (base["generator"], "classification")


def test_run_folders_are_named_after_what_runs(i2i, folder_root, tmp_path, untrained, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert i2i("run", *TINY, "--data", folder_root, "--transfer=none").status == 0
    assert i2i("train", *TINY, "--data", folder_root).status == 0
    name = folder_root.name
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [f"{name}-ugatit-base", f"{name}-ugatit-none"]


class TestHelp:
    def test_shows_the_options_of_the_default_components(self, i2i) -> None:
        text = " ".join(i2i("run", "--help-all").out.split())
        for words in (
            "[default: ugatit]", "[default: branch]",
            "[default: emoji]", "[default: runs/DATA-BACKBONE-TRANSFER]",
            "[default: 4]", "Backbone 'ugatit'",
            "--transfer.branch_lr", "--data.shots", "--loss.cam", "[default: 0.0005]",
            "--backbone.light / --backbone.no-light",
        ):  # fmt: skip
            assert words in text, words

    def test_shows_the_options_of_the_chosen_components(self, i2i) -> None:
        text = " ".join(i2i("run", "--backbone", "cyclegan", "--data", "folder", "--help-all").out.split())
        for words in (
            "Backbone 'cyclegan'", "--backbone.pool_size", "[default: 50]", "Generator 'resnet'", "--generator.blocks",
            "[default: 6]", "Discriminator 'timm+patch+patch/2'", "Data 'folder'",
            "--data.root",
        ):  # fmt: skip
            assert words in text, words
        assert "--backbone.light" not in text

    def test_shows_the_defaults_of_the_configuration_file(self, i2i, toml) -> None:
        file = toml("[backbone]\nname = 'cyclegan'\npool_size = 17")
        assert "[default: 17]" in i2i("run", "--config", file, "--help-all").out

    def test_works_where_the_chosen_parts_do_not_fit(self, i2i) -> None:
        assert i2i("run", "--generator=resnet", "--help").status == 0

    @pytest.mark.parametrize("command", ["run", "train", "transfer", "translate", "data", "data check", "plugins"])
    def test_of_every_command(self, i2i, command) -> None:
        result = i2i(*command.split(), "--help")
        assert result.status == 0
        assert f"Usage: i2i {command}" in result.out

    def test_of_translate_tells_the_default_group(self, i2i) -> None:
        rows = [" ".join(line.split()) for line in i2i("translate", "--help").out.splitlines()]
        check(next(row for row in rows if row.startswith("│ --group")), "[default:")

    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_leaves_out_what_few_people_need(self, i2i, monkeypatch, flag) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        text = i2i("run", flag).out
        assert len(text.splitlines()) <= 70
        for word in ("--backbone.channels", "--loss.cam", "--metric.fid", "--crop-margin"):
            assert word not in text
        for word in ("--backbone ", "--data ", "--steps ", "--out ", "--help-all"):
            assert word in text
        assert "Backbone 'ugatit' (9)" in " ".join(text.split())

    def test_of_all_options_cuts_no_name_off(self, i2i, monkeypatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        text = i2i("run", "--discriminator=timm+patch", "--data=folder", "--help-all").out
        assert "--loss.face_identity.crop / --loss.face_identity.no-crop\n" in text
        assert "\n  --transfer.trunk base|all|frozen\n" in text
        assert "\n  --backbone.betas X,X\n      Adam's betas. [default: 0.5,0.999]\n" in text
        assert "\n  --transfer.branch_points TEXT,...\n" in text
        assert not re.search(r"TUPLE|DICT|STR|INT|Undefined|default: \[", text)

    @pytest.mark.parametrize(
        "command", ["run", "evaluate", "translate", "bench", "groups export", "import", "groups add"]
    )
    def test_names_types_as_people_do(self, i2i, command) -> None:
        text = i2i(*command.split(), "--help").out
        assert not re.search(r"<\w|range|bool|TUPLE|DICT|list\[", text)
        assert re.search(r"--out +-o ", text)


class TestNested:
    def test_leaves_out_what_was_not_given(self) -> None:
        assert nested({"steps": None, "seed": "3", "backbone__channels": None}) == {"seed": "3"}

    def test_nests_components_and_losses(self) -> None:
        flat = {"backbone": "ugatit", "backbone__channels": "8", "loss__adversarial__mode": "hinge", "light": False}
        assert nested(flat) == {
            "backbone": {"name": "ugatit", "channels": "8"},
            "loss": {"adversarial": {"mode": "hinge"}},
            "light": False,
        }

    def test_another_component_drops_the_options_of_the_one_in_the_file(self, toml) -> None:
        file = toml(
            "[backbone]\nname = 'ugatit'\nlight = true\n[generator]\nname = 'ugatit'\n[transfer]\nname = 'none'"
        )
        changed = nested({"config": str(file), "backbone": "cyclegan", "backbone__channels": "8"})
        assert changed == {"backbone": {"name": "cyclegan", "channels": "8"}, "transfer": {"name": "none"}}
        assert nested({"config": str(file), "backbone": "ugatit"})["backbone"] == {"name": "ugatit", "light": True}

    def test_drops_versions_of_the_file(self, toml) -> None:
        assert nested({"config": str(toml("seed = 1\n[versions]\ni2i = '0'"))}) == {"seed": 1}

    def test_refuses_half_a_list(self) -> None:
        with refused(ConfigError, "[1"):
            nested({"backbone__betas": "[1"})


@pytest.mark.parametrize("value", ["./here", "/data", "a/b", "..", "existing"])
def test_paths_are_folders_of_images(value, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "existing").mkdir()
    assert data_section(value) == {"name": "folder", "root": value}


def test_words_are_data_sets(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_section("emoji") == {"name": "emoji"}


@pytest.mark.parametrize("command", [["run", *TINY, "--data"], ["data", "check"]], ids=["run --data", "data check"])
def test_a_data_set_wins_over_a_folder_of_its_name(i2i, tmp_path, monkeypatch, untrained, command) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emoji").mkdir()
    assert data_section("emoji") == {"name": "emoji"}
    assert data_section("./emoji") == {"name": "folder", "root": "./emoji"}
    result = i2i(*command, "emoji")
    assert result.status == 0
    check(result.err, "--data emoji", "--data ./emoji")


def test_no_note_where_no_folder_has_the_name_of_the_data_set(i2i, folder_root, tmp_path, monkeypatch, untrained):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert i2i("run", *TINY, "--data", folder_root, "--out", "here").err == ""
