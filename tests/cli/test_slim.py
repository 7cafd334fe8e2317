"""A slim model, as one lies in a repository: it translates, and starts transfers, like the run it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import timm
import torch

import i2i as api
from i2i.models.description import read_model_description
from i2i.storage.toml import read_toml
from tests.cli.conftest import TINY, train
from tests.conftest import write_noise
from tests.wording import check_line, mentions

JUDGES = ["--discriminator=timm+patch+patch/2", "--discriminator.timm.network=test_resnet"]
JUDGES += ["--discriminator.patch.layers=2", "--discriminator.patch_2.layers=1"]
ONE_STEP = ["--transfer-steps=1", "--device=cpu", "--evaluate.metrics=l1"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """The weights of the network that the discriminators look through."""
    file = tmp_path_factory.mktemp("weights") / "net.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    return file


@pytest.fixture(scope="module")
def slim(folder_root, weights, tmp_path_factory) -> Path:
    """A slim model outside of any run folder; read it, never write to it."""
    folder = tmp_path_factory.mktemp("slim")
    looking = [option for option in TINY if "discriminator" not in option] + JUDGES
    looking.append(f"--discriminator.timm.weights={weights}")
    train("run", *looking, "--data", folder_root, "--out", folder / "run")
    train("export", folder / "run", "--out", folder / "models" / "faces.safetensors")
    shutil.rmtree(folder / "run")
    return folder / "models" / "faces.safetensors"


@pytest.fixture
def drawings(tmp_path) -> Path:
    """A newcomer's ten drawings, and as many sources."""
    for name in ("trainA", "trainB"):
        write_noise(tmp_path / "ten-drawings" / name, 10)
    return tmp_path / "ten-drawings"


@pytest.fixture
def gone(weights):
    """Take the pretrained weights away from this machine."""
    away = weights.rename(weights.with_suffix(".away"))
    yield
    away.rename(weights)


def test_it_leaves_the_pretrained_network_out(slim) -> None:
    parts = [part.path for part in read_model_description(slim).left_out]
    assert parts == [f"discriminators.{domain}.parts.timm.trunk" for domain in ("a", "b")]


@pytest.mark.usefixtures("gone")
def test_it_translates_is_scored_and_listed_without_pretrained_weights(i2i, slim, folder_root, tmp_path) -> None:
    image = folder_root / "woman" / "testA" / "0.png"
    assert i2i("translate", slim, image, "--group", "kid", "--out", tmp_path / "kid.png").status == 0
    assert (tmp_path / "kid.png").is_file()
    result = i2i("evaluate", slim, "--data", folder_root, "--metrics", "l1", "--out", tmp_path / "scores.json")
    assert result.status == 0, result


def test_it_takes_a_newcomers_drawings(i2i, slim, drawings, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = i2i("transfer", slim, "--data", "ten-drawings/", *ONE_STEP)
    assert result.status == 0, result
    check_line(result.out, "adds 'ten-drawings'")
    run, image = Path("runs/ten-drawings-ugatit-branch"), drawings / "trainA" / "0.png"
    assert i2i("translate", run, image, "--group", "ten-drawings", "--out", "mine.png").status == 0
    before, after = api.load(slim), api.load(run, judges=True)
    assert after.groups == (*before.groups, "ten-drawings")
    x = api.read_image(image)
    assert after.translate(x, "kid") == before.translate(x, "kid")
    assert not read_model_description(run / "model.safetensors").left_out


@pytest.mark.full
def test_one_new_group_may_have_its_own_folder(i2i, slim, drawings, tmp_path) -> None:
    shutil.move(drawings, tmp_path / "data" / "baby")
    result = i2i("transfer", slim, "--data", tmp_path / "data", *ONE_STEP, "--out", tmp_path / "out", "--stop-after=1")
    assert result.status == 0, result
    added = read_toml(tmp_path / "out" / "run.toml")["added"]
    assert (added["group"], added["root"]) == ("baby", str(tmp_path / "data" / "baby"))


@pytest.mark.full
def test_a_group_is_added_attached_and_removed(i2i, slim, drawings, tmp_path) -> None:
    add = ["groups", "add", slim, "baby", "--data", drawings, *ONE_STEP, "--out", tmp_path / "out"]
    assert i2i(*add).status == 0
    assert i2i("groups", "export", tmp_path / "out", "baby", "--out", tmp_path / "baby.safetensors").status == 0
    assert i2i("groups", "attach", slim, tmp_path / "baby.safetensors", "--out", tmp_path / "both").status == 0
    assert i2i("groups", "remove", tmp_path / "both", "kid", "--overwrite").status == 0
    assert i2i("groups", "list", slim).status == 0
    assert api.load(tmp_path / "both", judges=True).groups == ("woman", "man", "baby")


def test_the_same_groups_train_on(i2i, slim, folder_root, out) -> None:
    assert i2i("transfer", slim, "--data", folder_root, *ONE_STEP, "--out", out).status == 0
    assert "added" not in read_toml(out / "run.toml")


@pytest.mark.usefixtures("gone")
def test_training_says_which_weights_are_missing_before_it_begins(refused, slim, weights, drawings, out) -> None:
    mentions(refused("transfer", slim, "--data", drawings, *ONE_STEP, "--out", out), slim, "test_resnet", weights)
    mentions(refused("groups", "list", slim), slim, "test_resnet", weights)
    assert not out.exists()


def test_data_that_fits_neither_way_is_refused(refused, slim, drawings, folder_root, tmp_path, out) -> None:
    for name in ("baby", "robot"):
        shutil.copytree(drawings, tmp_path / "two" / name)
    shutil.copytree(folder_root / "kid", tmp_path / "known" / "kid")
    mentions(refused("transfer", slim, "--data", tmp_path / "two", "--out", out), "woman", "baby", "i2i groups add")
    mentions(refused("transfer", slim, "--data", tmp_path / "known", "--out", out), "woman", "kid")
    shutil.copytree(drawings, tmp_path / "two words")
    mentions(refused("transfer", slim, "--data", tmp_path / "two words", "--out", out), "two words")
