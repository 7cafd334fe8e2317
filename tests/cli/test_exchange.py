"""``i2i import`` and ``i2i export``, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from i2i import load
from tests.shared import golden
from tests.wording import check_line, mentions


@pytest.fixture
def imported(i2i, out):
    result = i2i("import", golden("ugatit_light.pt"), "--size", 128, "--out", out)
    assert result.status == 0, result
    check_line(result.out, "ugatit-pytorch", "128 px", "4 channels", "all", out / "base.safetensors")
    return out


def test_an_imported_model_translates_and_is_exported_again(i2i, imported, folder_root, tmp_path) -> None:
    image = folder_root / "woman" / "testA" / "0.png"
    assert i2i("translate", imported, image, "--out", tmp_path / "x.png").status == 0
    assert (tmp_path / "x.png").is_file()
    result = i2i("export", imported, "--format", "ugatit-pytorch", "--out", tmp_path / "back.pt")
    assert (result.status, result.out.strip()) == (0, f"{imported} -> {tmp_path / 'back.pt'}")
    keys = {name: set(state) for name, state in torch.load(tmp_path / "back.pt", weights_only=True).items()}
    assert keys == {n: set(s) for n, s in torch.load(golden("ugatit_light.pt"), weights_only=True).items()}


@pytest.mark.full
def test_each_group_of_an_imported_model_is_served(i2i, out, folder_root, tmp_path) -> None:
    result = i2i("import", golden("fewshot.pt"), "--size", 128, "--out", out)
    assert result.status == 0, result
    check_line(result.out, "woman, man, kid, elderly", out / "model.safetensors")
    image, translations = folder_root / "woman" / "testA" / "0.png", set()
    for group in ("woman", "man", "kid", "elderly"):
        target = tmp_path / f"{group}.png"
        assert i2i("translate", out, image, "--group", group, "--out", target).status == 0
        translations.add(target.read_bytes())
    assert len(translations) == 4


def test_the_run_can_be_carried_over_to_groups(i2i, imported, folder_root, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "all").symlink_to(folder_root / "woman")
    (data / "kid").symlink_to(folder_root / "kid")
    groups = tmp_path / "groups"
    options = ["--data", data, "--transfer-steps", 1, "--batch-size", 1, "--device", "cpu", "--out", groups]
    result = i2i("transfer", imported, *options)
    assert result.status == 0, result
    result = i2i("export", groups, "--format", "ugatit-pytorch", "--group", "kid", "--out", tmp_path / "kid.pt")
    assert result.status == 0, result


def test_training_goes_on_from_an_imported_model(i2i, imported, folder_root, tmp_path) -> None:
    more = tmp_path / "more"
    options = ["--data", folder_root / "woman", "--steps", 1, "--batch-size", 1, "--device", "cpu", "--out", more]
    result = i2i("train", imported, *options)
    assert result.status == 0, result
    assert (more / "base.safetensors").is_file()


def test_networks_that_a_file_lacks_are_noted(i2i, out, tmp_path) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    torch.save({name: states[name] for name in ("genA2B", "genB2A")}, tmp_path / "x.pt")
    result = i2i("import", tmp_path / "x.pt", "--size", 128, "--out", out)
    assert result.status == 0, result
    check_line(result.out, "note", tmp_path / "x.pt", "discriminator of domain a")


def test_mistakes_are_told_in_one_message(refused, imported, out, tmp_path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"text")
    mentions(refused("import", tmp_path / "bad.pt", "--out", tmp_path / "y"), "bad.pt")
    mentions(refused("import", tmp_path / "none.pt", "--out", tmp_path / "y"), tmp_path / "none.pt")
    mentions(refused("import", golden("ugatit_light.pt"), "--size", 128, "--out", out), out, "--overwrite")
    mentions(refused("export", imported, "--format", "ugatit-torch"), "ugatit-pytorch")
    mentions(refused("export", tmp_path / "none", "--format", "ugatit-pytorch"), tmp_path / "none")
    mentions(refused("export", imported, "--format", "ugatit-pytorch", "--group", "man"), "man")
    assert not (tmp_path / "y").exists()
    assert not Path("ugatit_params_latest.pt").exists()


def test_without_a_format_a_slim_model_is_exported(i2i, trained, folder_root, tmp_path) -> None:
    image, slim = folder_root / "woman" / "testA" / "0.png", tmp_path / "models" / "mine.safetensors"
    result = i2i("export", trained, "--out", slim)
    assert result.status == 0, result
    check_line(result.out, trained, slim, varies=r"\d+\.\d MB")
    assert slim.stat().st_size < 0.7 * (trained / "model.safetensors").stat().st_size
    assert i2i("translate", slim, image, "--group", "kid", "--out", tmp_path / "kid.png").status == 0
    with Image.open(tmp_path / "kid.png") as picture:
        assert picture.size == (40, 40)


def test_a_group_is_exported_alone_into_a_folder(i2i, trained, tmp_path) -> None:
    assert i2i("export", trained, "--group", "kid", "--out", tmp_path).status == 0
    assert load(tmp_path / "kid.safetensors", judges=True).groups == ("kid",)
    assert i2i("export", trained, "--out", tmp_path).status == 0
    assert load(tmp_path / "trained.safetensors", judges=True).groups == ("woman", "kid", "man")


def test_a_slim_model_replaces_nothing_unasked(i2i, refused, trained, tmp_path) -> None:
    mentions(refused("export", trained, "--out", tmp_path / "mine.pt"), tmp_path / "mine.pt", "--format")
    mentions(refused("export", trained, "--group", "nobody", "--out", tmp_path), "nobody")
    assert i2i("export", trained, "--out", tmp_path).status == 0
    mentions(refused("export", trained, "--out", tmp_path), "trained.safetensors", "--overwrite")
    mentions(refused("export", tmp_path / "trained.safetensors", "--out", tmp_path, "--overwrite"), "trained")
    assert i2i("export", trained, "--out", tmp_path, "--overwrite").status == 0
