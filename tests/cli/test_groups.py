"""``i2i groups``: list, export, attach and remove."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import i2i as api
from i2i.storage.tensor_file import read
from tests.wording import check, check_line, mentions

CHANGES = {"attach": ["groups/kid.safetensors", "--name", "baby"], "remove": ["kid"]}


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A run that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_list_tells_what_each_group_has_for_itself(i2i, trained) -> None:
    result = i2i("groups", "list", trained)
    head, *rows = [line.split() for line in result.out.splitlines()]
    assert (result.status, head) == (0, ["group", "bytes", "of", "the", "model", "to", "translate"])
    assert [row[0] for row in rows] == ["woman", "kid", "man"]
    assert rows[0][1] == "(base)"
    assert rows[1][1:] == rows[2][1:]
    assert all(row[-1].endswith("%") for row in rows)


def test_list_of_a_base_model(i2i, trained) -> None:
    result = i2i("groups", "list", trained / "base.safetensors")
    assert result.out.splitlines()[1].split() == ["woman", "(base)", "0", "0.0%", "0.0%"]


def test_export_prints_the_size(i2i, trained, tmp_path) -> None:
    file, small = tmp_path / "kid.safetensors", tmp_path / "small.safetensors"
    result = i2i("groups", "export", trained, "kid", "--out", file)
    assert result.status == 0
    assert re.search(r": \d+ bytes, [\d.]+%", result.out)
    check(result.out, file, varies=r"\d+ bytes, [\d.]+%")
    assert i2i("groups", "export", trained, "kid", "--no-judges", "--out", small).status == 0
    assert small.read_bytes() == (trained / "groups" / "kid.safetensors").read_bytes()
    assert small.stat().st_size < file.stat().st_size / 2


def test_export_replaces_only_when_asked(i2i, refused, run, monkeypatch) -> None:
    monkeypatch.chdir(run)
    assert i2i("groups", "export", ".", "kid").status == 0
    message = refused("groups", "export", ".", "kid")
    mentions(message, "kid.safetensors", "--out", "--overwrite")
    assert i2i("groups", "export", ".", "kid", "--overwrite").status == 0


def test_export_into_a_folder_and_never_over_the_model(i2i, refused, run, tmp_path) -> None:
    (tmp_path / "parts").mkdir()
    assert i2i("groups", "export", run, "kid", "--out", tmp_path / "parts").status == 0
    assert i2i("groups", "export", run, "kid", "--out", tmp_path / "new" / "parts" / "kid.safetensors").status == 0
    assert (tmp_path / "parts" / "kid.safetensors").is_file()
    before = (run / "model.safetensors").read_bytes()
    for command in (("groups", "export", run, "kid"), ("export", run, "--group", "kid", "--format", "ugatit-pytorch")):
        message = refused(*command, "--out", run / "model.safetensors", "--overwrite")
        mentions(message, run / "model.safetensors", "--out")
    assert (run / "model.safetensors").read_bytes() == before


def test_remove_and_attach_into_new_runs_and_back_to_the_same_bytes(i2i, trained, tmp_path) -> None:
    removed = i2i("groups", "remove", trained, "man", "--out", tmp_path / "less")
    assert (removed.status, removed.out) == (0, f"{tmp_path}/less/model.safetensors: woman, kid\n")
    file = tmp_path / "man.safetensors"
    assert i2i("groups", "export", trained, "man", "--out", file).status == 0
    attached = i2i("groups", "attach", tmp_path / "less", file, "--out", tmp_path / "again")
    assert (attached.status, attached.out) == (0, f"{tmp_path}/again/model.safetensors: woman, kid, man\n")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert i2i("run", "--resume", tmp_path / "again").status == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_an_empty_name_names_no_group(refused, run) -> None:
    mentions(refused("groups", "attach", run, run / "groups/kid.safetensors", "--name", "", "--overwrite"), "''")


def test_in_place(i2i, run) -> None:
    assert i2i("groups", "attach", run, run / "groups/kid.safetensors", "--name=baby", "--overwrite").status == 0
    assert api.load(run).groups == ("woman", "kid", "man", "baby")
    assert i2i("groups", "remove", run, "kid", "--overwrite").status == 0
    assert api.load(run).groups == ("woman", "man", "baby")
    assert sorted(path.stem for path in (run / "groups").iterdir()) == ["baby", "kid", "man"]  # none is lost


def test_a_single_file_in_place(i2i, run, tmp_path) -> None:
    (tmp_path / "alone").mkdir()
    file = Path(shutil.copy(run / "model.safetensors", tmp_path / "alone" / "mine.safetensors"))
    assert i2i("groups", "remove", file, "kid", "--overwrite").status == 0
    assert api.load(file).groups == ("woman", "man")
    assert [path.name for path in file.parent.iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize("command", CHANGES)
def test_nothing_is_changed_unasked(refused, run, command) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    first, *more = CHANGES[command]
    message = refused("groups", command, run, run / first if "/" in first else first, *more)
    mentions(message, "--out", "--overwrite", run)
    assert before == {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}


def test_attach_to_another_base(refused, i2i, run, trained, folder_root, tmp_path) -> None:
    from tests.cli.conftest import TINY

    assert i2i("run", *TINY, "--seed=5", "--data", folder_root, "--out", tmp_path / "other").status == 0
    file = tmp_path / "other" / "groups" / "kid.safetensors"
    message = refused("groups", "attach", run, file, "--name", "baby", "--overwrite")
    mentions(message, file, "kid")
    assert (run / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


class TestAdd:
    def test_all_else_stays_and_the_copy_can_be_attached(self, i2i, run, folder_root, tmp_path) -> None:
        more = ["--transfer-steps=2", "--transfer.branch_lr=3", "--device=cpu", "--evaluate.metrics=l1"]
        result = i2i("groups", "add", run, "boy", "--data", folder_root / "man", *more, "--out", tmp_path / "out")
        assert result.status == 0, result
        check_line(result.out, "'boy'", "boy 3/2", "'woman'")
        assert i2i("groups", "export", tmp_path / "out", "boy", "--out", tmp_path / "boy.safetensors").status == 0
        attached = i2i("groups", "attach", run, tmp_path / "boy.safetensors", "--overwrite")
        assert attached.out == f"{run}/model.safetensors: woman, kid, man, boy\n"
        one, two = (read(folder / "model.safetensors")[0] for folder in (run, tmp_path / "out"))
        assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
        assert api.load(tmp_path / "out").components.transfer.options.branch_lr == 3

    def test_to_a_model_in_no_run_folder(self, i2i, refused, trained, folder_root, tmp_path) -> None:
        file = Path(shutil.copy(trained / "model.safetensors", tmp_path / "alone.safetensors"))
        start = ["groups", "add", file, "boy", "--data", folder_root / "man", "--transfer-steps=1", "--device=cpu"]
        mentions(refused(*start, "--train-trunk", "--out", tmp_path / "out"), "boy", "woman", "--train-trunk", "--data")
        assert i2i(*start, "--out", tmp_path / "out").status == 0
        assert api.load(tmp_path / "out").groups == ("woman", "kid", "man", "boy")

    def test_options_that_change_the_networks(self, refused, run, folder_root, tmp_path) -> None:
        start = ["groups", "add", run, "boy", "--data", folder_root / "man", "--out", tmp_path / "out"]
        message = refused(*start, "--transfer.judge", "classification")
        mentions(message, f"{run}/model.safetensors")
        assert not (tmp_path / "out").exists()

    @pytest.mark.full
    def test_stopped_and_resumed(self, i2i, run, folder_root, tmp_path) -> None:
        start = ["groups", "add", run, "boy", "--data", folder_root / "man", "--train-trunk"]
        start += ["--transfer-steps=2", "--device=cpu", "--evaluate.metrics=l1"]
        assert i2i(*start, "--out", tmp_path / "whole").status == 0
        stopped = i2i(*start, "--out", tmp_path / "out", "--stop-after=1")
        check_line(stopped.out, f"i2i transfer --resume {tmp_path}/out")
        assert i2i("transfer", "--resume", tmp_path / "out").status == 0
        one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "out"))
        assert one == two

    def test_needs_a_folder_of_its_own(self, refused, run, folder_root) -> None:
        mentions(
            refused("groups", "add", run, "boy", "--data", folder_root / "man", "--overwrite"),
            "--out OUT",
            "i2i groups export OUT boy",
            f"i2i groups attach {run} boy.safetensors --overwrite",
        )

    def test_a_folder_that_is_taken(self, refused, run, trained, folder_root) -> None:
        message = refused("groups", "add", run, "boy", "--data", folder_root / "man", "--out", trained)
        mentions(message, trained)

    @pytest.mark.parametrize("flags", [(), ("--debug", "--strict")])
    def test_help_shows_the_transfers_options(self, i2i, run, flags) -> None:
        text = i2i(*flags, "groups", "add", run, "--help-all").out
        assert "--transfer.branch_lr" in text
        assert "--transfer-steps" in text
        assert "  --size" not in text


def test_groups_as_json(i2i, trained) -> None:
    content = json.loads(i2i("groups", "list", trained, "--json").out)
    assert content["base"] == "woman"
    assert [one["name"] for one in content["groups"]] == ["woman", "kid", "man"]
    assert all(0 < one["to_translate"] < one["bytes"] < content["bytes"] for one in content["groups"][1:])
