from __future__ import annotations

import json

import pytest
from PIL import Image

from i2i.images.grids import cut
from tests.wording import check, check_line, mentions


def test_list(i2i) -> None:
    result = i2i("data", "list")
    assert result.status == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in rows[1:4]] == ["avatars", "emoji", "folder"]
    assert rows[1][-2:] == ["i2i", "0.1.0"]


def test_check_counts_by_group(i2i, folder_root) -> None:
    result = i2i("data", "check", folder_root)
    assert (result.status, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()[1:4]] == [
        ["woman", "(base)", "8", "8", "2", "2", "0"],
        ["kid", "2", "1", "2", "2", "0"],
        ["man", "3", "2", "2", "2", "0"],
    ]


def test_check_counts_before_it_complains(i2i, own_root) -> None:
    (own_root / "kid" / "testB" / "1.png").write_bytes(b"")
    result = i2i("data", "check", own_root)
    assert result.status == 2
    assert len(result.out.splitlines()) == 4
    check(result.err, "error", f"{own_root}/kid/testB/1.png", "0 bytes")


def test_check_of_one_group(i2i, folder_root) -> None:
    result = i2i("data", "check", folder_root / "man")
    assert (result.status, result.out.splitlines()[1].split()[:2]) == (0, ["all", "(base)"])


def test_check_of_an_unknown_data_set(refused) -> None:
    mentions(refused("data", "check", "emojy"), "emojy", "emoji")


@pytest.mark.parametrize("before", [True, False])
def test_a_check_takes_the_options_of_its_data_set(i2i, folder_root, before) -> None:
    options = ["--json", "--data.base", "man"]
    result = i2i("data", "check", *(options if before else []), folder_root, *([] if before else options))
    assert json.loads(result.out)["base"] == "man"


def test_the_data_set_may_come_after_other_options(i2i, folder_root, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = i2i("data", "sheet", "-o", "sheet.png", "--cell", 16, folder_root, "--overwrite", "--data.base", "kid")
    assert (result.status, result.out) == (0, f"{folder_root} -> sheet.png\n")
    with Image.open("sheet.png") as sheet:
        assert cut(sheet)[0].title == "kid (base)"


def test_options_of_the_data_set_come_from_a_file_too(i2i, folder_root, tmp_path) -> None:
    (tmp_path / "mine.toml").write_text('size = 128\n[data]\nbase = "man"\n')
    result = i2i("data", "check", folder_root, "--config", tmp_path / "mine.toml", "--json")
    assert json.loads(result.out)["base"] == "man"
    check_line(result.out, "of 8 images of woman, train a", "--size 128", "40 x 40")


@pytest.mark.parametrize("command", ["check", "sheet", "export"])
def test_options_that_the_data_set_does_not_have_are_refused(refused, folder_root, command) -> None:
    mentions(refused("data", command, folder_root, "--data.basis", "man"), "--data.basis", "--data.base")
    mentions(refused("data", command, folder_root, "--data.base", "men"), "men", "man")
    mentions(refused("data", command, folder_root, "--extra-groups", "nobody"), "nobody")


def test_exported_people_follow_from_the_seed_of_their_data_set(i2i, tmp_path) -> None:
    pytest.importorskip("dicebear")
    few = ["--data.people", "2", "--data.shots", "{}", "--data.held_out", "1", "--data.render", "32"]
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        assert i2i("data", "export", "avatars", *few, "--data.seed", seed, "--out", tmp_path / name).status == 0
    read = {name: [path.read_bytes() for path in _files(tmp_path / name)] for name in ("one", "again", "other")}
    assert read["one"] == read["again"]
    assert len(read["one"]) == len(read["other"])
    assert not {*read["one"]} & {*read["other"]}


def test_data_sets_as_json(i2i) -> None:
    sets = {one["name"]: one for one in json.loads(i2i("data", "list", "--json").out)}
    assert "OpenMoji" in sets["emoji"]["description"]
    assert "``" not in sets["folder"]["description"]


def test_check_as_json(i2i, own_root) -> None:
    (own_root / "man" / "trainA" / "notes.txt").touch()
    result = i2i("data", "check", own_root, "--size=64", "--json")
    content = json.loads(result.out)
    assert result.status == 0
    assert content["base"] == "woman"
    kid = {"name": "kid", "train_a": 2, "train_b": 1, "test_a": 2, "test_b": 2, "pairs": 0}
    assert [group for group in content["groups"] if group["name"] == "kid"] == [kid]
    assert [one["files"] for one in content["skipped"]] == [[str(own_root / "man" / "trainA" / "notes.txt")]]
    assert any("--size 64" in one["problem"] and one["remedy"] for one in content["findings"])


def test_check_as_json_of_an_image_that_cannot_be_read(i2i, own_root) -> None:
    (own_root / "kid" / "testB" / "1.png").write_bytes(b"")
    result = i2i("data", "check", own_root, "--json")
    assert (result.status, result.out) == (2, "")
    assert "kid/testB/1.png" in result.err


def test_a_verbose_check_names_every_skipped_file(i2i, own_root) -> None:
    for number in range(4):
        (own_root / f"{number}.txt").touch()
    assert "3.txt" not in i2i("data", "check", own_root).out
    assert "3.txt" in i2i("data", "check", own_root, "-v").out


def test_check_names_files_as_seen_from_the_working_directory(i2i, own_root, monkeypatch) -> None:
    (own_root / "man" / "trainA" / "notes.txt").touch()
    monkeypatch.chdir(own_root.parent)
    assert f": {own_root.name}/man/trainA/notes.txt\n" in i2i("data", "check", own_root.name).out


def test_check_says_what_may_spoil_a_training_and_what_is_skipped(i2i, own_root) -> None:
    (own_root / "man" / "trainA" / "notes.txt").touch()
    result = i2i("data", "check", own_root, "--size=64")
    assert (result.status, result.err) == (0, "")
    check_line(result.out, "skipped", own_root / "man" / "trainA" / "notes.txt")
    check_line(result.out, "woman has 8", "--augment ada")
    check_line(result.out, "of 3 images of man, train a", "--size 64", "40 x 40")


def test_sheet(i2i, refused, folder_root, tmp_path) -> None:
    result = i2i("data", "sheet", folder_root, "--out", tmp_path / "sheet.png", "--images=4", "--cell=32")
    assert (result.status, result.out) == (0, f"{folder_root} -> {tmp_path}/sheet.png\n")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert [len(block.rows) for block in cut(sheet)] == [4, 4, 4]
        assert cut(sheet)[0].title == "woman (base)"
    mentions(refused("data", "sheet", folder_root, "--out", tmp_path / "sheet.png"), tmp_path / "sheet.png")


def test_a_sheet_replaces_no_image_of_the_data(refused, folder_root) -> None:
    image = next(folder_root.rglob("*.png"))
    before = image.read_bytes()
    mentions(refused("data", "sheet", folder_root, "--overwrite", "--out", image), image, "--out")
    assert image.read_bytes() == before


def test_exported_images_are_the_same_data_set(i2i, refused, folder_root, tmp_path) -> None:
    out = tmp_path / "new" / "faces"
    result = i2i("data", "export", folder_root, "--out", out)
    assert (result.status, result.out) == (0, f"{folder_root} -> {out}: 36 images\n")
    assert i2i("data", "check", out).out.splitlines()[1:4] == i2i("data", "check", folder_root).out.splitlines()[1:4]
    for path in folder_root.glob("*/*/*.png"):
        assert (out / path.relative_to(folder_root)).read_bytes() == path.read_bytes()
    mentions(refused("data", "export", folder_root, "--out", out), out, "--out")
    assert [path.name for path in out.parent.iterdir()] == ["faces"]


def test_a_sheet_too_large_for_memory(refused, folder_root, tmp_path) -> None:
    mentions(refused("data", "sheet", folder_root, "--cell=1000000", "--out", tmp_path / "sheet.png"), "--cell")


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())
