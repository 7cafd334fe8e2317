"""The images of a data set as folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import Domain
from i2i.errors import ConfigError, DataError
from i2i.training.image_folders import write_folders
from tests.wording import refused


class Listed(Dataset):
    """One group, whose training images are listed."""

    name, groups, base = "listed", ("woman",), "woman"

    def __init__(self, *paths: Path) -> None:
        self._paths = paths

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        return self._paths if domain == "a" else ()

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        return ()


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two files of one name."""
    files = [tmp_path / folder / "0.png" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(file.parent.name.encode())
    return files


def test_files_of_one_name_are_numbered(images, tmp_path) -> None:
    assert write_folders(Listed(*images), tmp_path / "out") == 2
    folder = tmp_path / "out" / "woman" / "trainA"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"0-0.png": b"one", "1-0.png": b"two"}
    assert [path.name for path in folder.parent.iterdir()] == ["trainA"]


@pytest.mark.parametrize("name", ["out", "."])
def test_what_is_there_is_left_alone(images, tmp_path, monkeypatch, name) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    out = Path(name) if name == "." else tmp_path / name
    with refused(ConfigError, out, "--out"):
        write_folders(Listed(*images), out)
    assert list((tmp_path / "out").iterdir()) == []


def test_no_group_leads_out_of_the_folder(images, tmp_path) -> None:
    data = Listed(*images)
    data.groups = ("../evil",)
    with refused(ConfigError, "../evil"):
        write_folders(data, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_an_image_that_is_gone_leaves_no_half_a_folder(images, tmp_path) -> None:
    images[1].unlink()
    with refused(DataError, tmp_path / "out", images[1]):
        write_folders(Listed(*images), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
