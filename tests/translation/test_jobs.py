"""Which images are translated, and where they go."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.translation.jobs import find_sources, plan
from tests.wording import refused


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with subfolders, two images of one name, and what is no image or hidden."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "2024/a.png", "2024/may/b.jpg", "2025/c.PNG", ".hidden/d.png", "2024/.e.png"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(path)
    (tmp_path / "album" / "notes.txt").touch()
    return Path("album")


def targets(*patterns: object, out: str = "new", suffix: str | None = None, recursive: bool = False) -> list[str]:
    return [str(job.target) for job in plan(find_sources([*map(str, patterns)], out, recursive), out, suffix)]


def test_a_folder_alone_or_with_its_tree(album) -> None:
    assert targets(album) == ["new/a.png"]
    assert targets(album, recursive=True) == ["new/2024/a.png", "new/2024/may/b.jpg", "new/2025/c.PNG", "new/a.png"]


def test_a_glob_and_files_lose_their_folders(album) -> None:
    assert targets(album / "*/*/*.jpg", album / "2025" / "c.PNG", album / "**/*.jpg") == ["new/b.jpg", "new/c.PNG"]


def test_an_empty_name_is_not_the_working_folder(album, monkeypatch) -> None:
    monkeypatch.chdir(album)
    with refused(DataError, "empty", "variable"):
        find_sources([""], "new")


def test_translations_below_the_folder_are_not_translated_again(album) -> None:
    out = str(album / "2024")
    assert targets(album, out=out, recursive=True) == ["album/2024/2025/c.PNG", "album/2024/a.png"]
    assert targets(album, out=str(album), recursive=True)[0] == "album/2024/a.png"


def test_a_loop_of_folders_and_links_without_a_target(album) -> None:
    (album / "2025" / "back").symlink_to(album.absolute())
    (album / "2025" / "loop.png").symlink_to("loop.png")
    assert targets(album / "2025", recursive=True) == ["new/c.PNG", "new/loop.png"]
    assert targets(album / "2025" / "l*.png") == targets(album / "2025" / "loop.png") == ["new/loop.png"]


def test_a_glob_enters_no_links_to_folders_which_two_loops_would_follow_forever(album) -> None:
    for name in ("back", "again"):
        (album / "2025" / name).symlink_to(".")
    assert targets(album / "**" / "**" / "*.PNG") == targets(album / "**" / "2025" / "**") == ["new/c.PNG"]
    assert targets(album / "**" / "may" / "*") == ["new/b.jpg"]


@pytest.mark.parametrize(("suffix", "name"), [(".jpg", "new/a.jpg"), (None, "new/a.png")])
def test_the_format(album, suffix, name) -> None:
    assert targets(album, suffix=suffix) == [name]


@pytest.mark.parametrize("out", ["results_v1.0", "results.png/", "results.new/"])
def test_a_folder_with_a_dot_in_its_name(album, out) -> None:
    assert targets(album, out=out) == [f"{out.rstrip('/')}/a.png"]


def test_several_images_make_a_folder_of_what_is_no_format(album) -> None:
    assert targets(album / "a.png", album / "2024/may/b.jpg", out="my.album") == ["my.album/a.png", "my.album/b.jpg"]


def test_a_file_and_another_format(album) -> None:
    assert targets(album / "a.png", out="new.jpg", suffix=".jpg") == ["new.jpg"]
    with refused(ConfigError, "--out new.png", "--format jpg"):
        targets(album / "a.png", out="new.png", suffix=".jpg")


def test_two_of_one_name_after_the_change_of_format(album) -> None:
    Image.new("RGB", (2, 2)).save(album / "a.jpg")
    with refused(ConfigError, "new/a.webp"):
        targets(album, suffix=".webp")


def test_clashes_are_found_in_linear_time(tmp_path) -> None:
    sources = {tmp_path / f"{number}.png": Path(f"{number}.png") for number in range(50_000)}
    start = time.process_time()
    plan(sources, str(tmp_path / "new"))
    assert time.process_time() - start < 20  # comparing all pairs takes minutes
