"""Folders of images in both layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from i2i.errors import DataError
from i2i_data.folders import Folders
from tests.wording import refused


def fill(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        (folder / f"{i}.png").write_bytes(b"never opened")


def add_group(folder: Path, sources: int = 1, targets: int = 1) -> None:
    fill(folder / "trainA", sources)
    fill(folder / "trainB", targets)


def open_root(root: Path, **options: Any) -> Folders:
    return Folders(Folders.Config(root=root, **options))


def names(paths: Any) -> list[str]:
    return [path.name for path in paths]


def test_groups(tmp_path: Path) -> None:
    add_group(tmp_path / "kid", 3, 2)
    add_group(tmp_path / "man", 2, 4)
    fill(tmp_path / "man" / "testA", 1)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "elsewhere").mkdir()
    data = open_root(tmp_path)
    assert data.groups == ("man", "kid")
    assert data.train("kid", "a") == [tmp_path / "kid" / "trainA" / f"{i}.png" for i in range(3)]
    assert names(data.train("man", "b")) == ["0.png", "1.png", "2.png", "3.png"]
    assert data.test("man", "a") == [tmp_path / "man" / "testA" / "0.png"]
    assert data.test("man", "b") == []
    assert data.pairs("man") is None


def test_no_groups(tmp_path: Path) -> None:
    add_group(tmp_path, 2, 3)
    fill(tmp_path / "testB", 1)
    data = open_root(tmp_path)
    assert (data.groups, data.base) == (("all",), "all")
    assert [len(data.train("all", "a")), len(data.train("all", "b"))] == [2, 3]
    assert [len(data.test("all", "a")), len(data.test("all", "b"))] == [0, 1]


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    add_group(tmp_path)
    (tmp_path / "trainA" / ".0.png").touch()
    (tmp_path / "trainA" / "notes.txt").touch()
    (tmp_path / ".cache" / "trainA").mkdir(parents=True)
    assert names(open_root(tmp_path).train("all", "a")) == ["0.png"]


def test_the_base_has_the_most_target_images_or_else_the_first_name(tmp_path: Path) -> None:
    for group, targets in {"a": 1, "c": 2, "b": 2}.items():
        add_group(tmp_path / group, 5 - targets, targets)
    assert open_root(tmp_path).groups == ("b", "a", "c")


def test_the_base_can_be_chosen(tmp_path: Path) -> None:
    add_group(tmp_path / "kid", 1, 1)
    add_group(tmp_path / "man", 1, 2)
    data = open_root(tmp_path, base="kid")
    assert (data.base, data.groups) == ("kid", ("kid", "man"))


def test_an_unknown_base_names_the_nearest(tmp_path: Path) -> None:
    add_group(tmp_path / "kid")
    add_group(tmp_path / "man")
    with refused(DataError, "--data.base", "kids", "'kid'", "kid, man"):
        open_root(tmp_path, base="kids")


def test_an_unknown_group_names_the_nearest(tmp_path: Path) -> None:
    add_group(tmp_path / "kid")
    data = open_root(tmp_path)
    for read in (data.train, data.test):
        with refused(DataError, "kit", "kid"):
            read("kit", "a")


def test_root_is_missing(tmp_path: Path) -> None:
    with refused(DataError, tmp_path / "gone", "--data.root", "ROOT/<group>/trainA"):
        open_root(tmp_path / "gone")


def test_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused(DataError, tmp_path / "file", "--data.root"):
        open_root(tmp_path / "file")


def test_root_is_empty(tmp_path: Path) -> None:
    with refused(DataError, tmp_path, "ROOT/<group>/trainA"):
        open_root(tmp_path)


def test_root_has_neither_layout(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for i in range(6):
        (tmp_path / f"{i}.png").touch()
    with refused(DataError, tmp_path, "0.png", "1.png", 2, "trainA", "trainB"):
        open_root(tmp_path)


def test_root_has_both_layouts(tmp_path: Path) -> None:
    add_group(tmp_path)
    add_group(tmp_path / "kid")
    with refused(DataError, tmp_path, "(kid)"):
        open_root(tmp_path)


@pytest.mark.parametrize("name", ["trainA", "trainB"])
def test_a_training_folder_is_empty(tmp_path: Path, name: str) -> None:
    add_group(tmp_path / "kid", int(name != "trainA"), int(name != "trainB"))
    with refused(DataError, f"kid/{name}"):
        open_root(tmp_path)


def test_a_training_folder_has_no_images(tmp_path: Path) -> None:
    add_group(tmp_path, 1, 0)
    (tmp_path / "trainB" / "clip.mp4").touch()
    with refused(DataError, tmp_path / "trainB"):
        open_root(tmp_path)


@pytest.mark.parametrize(("only", "lacking"), [("trainA", "trainB"), ("testB", "trainA")])
def test_a_group_has_no_target_folder(tmp_path: Path, only: str, lacking: str) -> None:
    add_group(tmp_path / "man")
    fill(tmp_path / "kid" / only, 1)
    with refused(DataError, tmp_path / "kid" / lacking, "trainA", "trainB"):
        open_root(tmp_path)


@pytest.mark.parametrize("name", ["train", "young man"])
def test_a_folder_cannot_name_a_group(tmp_path: Path, name: str) -> None:
    add_group(tmp_path / name)
    with refused(DataError, name):
        open_root(tmp_path)
