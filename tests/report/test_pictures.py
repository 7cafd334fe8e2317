from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from i2i.errors import DataError
from i2i.report import pictures
from i2i.report.pictures import film, galleries, strip, whole
from tests.report.conftest import SHADES, draw
from tests.wording import refused


def opened(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def shade(uri: str) -> int:
    return opened(uri).getpixel((0, 0))[0]


def test_a_strip_holds_images_side_by_side():
    picture = opened(strip([Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")], 16))
    assert picture.size == (48, 16)
    assert [max(range(3), key=picture.getpixel((x, 8)).__getitem__) for x in (8, 24, 40)] == [0, 1, 2]


def test_a_grid_becomes_a_gallery_a_group(finished):
    woman, kid = galleries(finished / "samples" / "transfer.png", 16)
    assert (woman.group, woman.count, kid.group, kid.count) == ("woman", 6, "kid", 2)
    for gallery in (woman, kid):
        assert {one.label: shade(one.picture) for one in gallery.strips} == pytest.approx(SHADES, abs=8)
    assert opened(kid.strips[0].picture).size == (32, 16)


def test_a_picture_that_is_no_grid_is_shown_whole_and_no_wider_than_a_page(tmp_path):
    Image.new("RGB", (1800, 200), "red").save(tmp_path / "old.png")
    assert galleries(tmp_path / "old.png") == []
    assert opened(whole(tmp_path / "old.png")).size == (900, 100)


def test_what_is_missing_is_left_out(tmp_path):
    assert galleries(tmp_path / "none.png") == []
    assert whole(tmp_path / "none.png") == ""
    assert film(tmp_path, ("base", "transfer")) is None


def test_a_film_shows_the_translations_of_every_step(finished):
    shown = film(finished, ("base", "transfer"))
    assert [name for name, _ in shown.frames] == [
        "base, step 20",
        "base, step 40",
        "transfer, step 10",
        "transfer, step 20",
    ]
    assert [shade(strips["kid"]) for _, strips in shown.frames] == pytest.approx([200, 220, 190, 200], abs=3)
    assert [gallery.group for gallery in shown.galleries] == ["woman", "kid"]
    assert shown.left_out == 0


def test_a_long_film_leaves_steps_out_but_neither_the_first_nor_the_last(folder, monkeypatch):
    monkeypatch.setattr(pictures, "FRAMES", 4)
    for step in range(1, 12):
        draw(folder, f"base-{step:06d}", "source", "translation")
    shown = film(folder, ("base", "transfer"))
    assert [name for name, _ in shown.frames] == ["base, step 1", "base, step 4", "base, step 8", "base, step 11"]
    assert shown.left_out == 7


@pytest.mark.parametrize("read", [galleries, whole])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no image"])
def test_a_damaged_picture_is_named(finished, read, damage):
    path = finished / "samples" / "transfer.png"
    path.write_bytes(damage(path.read_bytes()))
    with refused(DataError, path, varies=r"\(.+\)"):
        read(path)
