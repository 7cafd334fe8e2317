"""Colour profiles and bit depths: the right sRGB values, or a refusal where they are unknown."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from i2i.errors import DataError
from i2i.images import colours
from i2i.images.files import read_image
from tests.images import profiles
from tests.images.profiles import ADOBE_RGB, CYAN, DISPLAY_P3, SRGB, cmyk_profile, grey_profile, rgb_profile
from tests.wording import check, refused

COLOURS = [(200, 100, 50), (60, 200, 60), (255, 0, 0), (12, 34, 56), (0, 0, 0), (255, 255, 255), (128, 128, 128)]


@pytest.fixture(autouse=True)
def _unknown_profiles() -> Iterator[None]:
    """Let each test be the first to meet a profile."""
    colours._conversion.cache_clear()
    yield
    colours._conversion.cache_clear()


def row(mode: str, values: list[tuple[int, ...]]) -> Image.Image:
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    return image


def read(path: Path) -> list[list[int]]:
    return np.asarray(read_image(path))[0].tolist()


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
def test_a_wide_gamut_is_converted(tmp_path, primaries, suffix):
    path = tmp_path / f"image.{suffix}"
    for colour in COLOURS:
        Image.new("RGB", (16, 16), colour).save(path, icc_profile=rgb_profile(primaries), lossless=True, quality=100)
        assert read(path)[0] == pytest.approx(profiles.srgb_of(colour, primaries), abs=2.6 if suffix == "jpg" else 2)


def test_transparency_and_palettes_keep_their_meaning(tmp_path):
    profile, desired = rgb_profile(DISPLAY_P3), profiles.srgb_of((60, 200, 60), DISPLAY_P3)
    row("RGBA", [(60, 200, 60, 255), (60, 200, 60, 0)]).save(tmp_path / "rgba.png", icc_profile=profile)
    paletted = row("P", [0, 1])
    paletted.putpalette([60, 200, 60, 9, 9, 9])
    paletted.save(tmp_path / "p.png", icc_profile=profile, transparency=1)
    for name in ("rgba.png", "p.png"):
        assert read(tmp_path / name)[0] == pytest.approx(desired, abs=2)
        assert read(tmp_path / name)[1] == [255, 255, 255]


def test_cmyk_is_converted_by_its_profile(tmp_path):
    inks = {(0, 0, 0, 0): (100.0, 0.0, 0.0), (255, 0, 0, 0): CYAN, (0, 0, 0, 255): (0.0, 0.0, 0.0)}
    for ink, lab in inks.items():
        Image.new("CMYK", (8, 8), ink).save(tmp_path / "image.tif", icc_profile=cmyk_profile())
        assert read(tmp_path / "image.tif")[0] == pytest.approx(profiles.srgb_of_lab(lab), abs=3)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_levels_are_converted(tmp_path, mode):
    value = {"L": 100, "LA": (100, 255), "I;16": 100 * 257}[mode]
    Image.new(mode, (2, 1), value).save(tmp_path / "image.png", icc_profile=grey_profile(1.0))
    desired = profiles.srgb_of_xyz(100 / 255 * np.array(profiles.D50))
    assert read(tmp_path / "image.png")[0] == pytest.approx(desired, abs=2)


def test_srgb_and_its_like_change_nothing_and_are_not_mentioned(tmp_path, caplog):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    noise.save(tmp_path / "image.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert np.array_equal(np.asarray(read_image(tmp_path / "image.png")), np.asarray(noise))
    assert "icc_profile" not in read_image(tmp_path / "image.png").info
    assert caplog.messages == []


@pytest.mark.parametrize(
    "profile",
    [
        b"nothing",
        rgb_profile(SRGB)[:200],
        bytes(600),
        cmyk_profile(),
        rgb_profile(DISPLAY_P3).replace(b"acsp", b"xxxx"),
    ],
    ids=["text", "cut", "zeros", "CMYK", "no signature"],
)
def test_a_profile_that_cannot_be_used_is_noted_once(tmp_path, caplog, profile):
    for name in ("one.png", "two.png"):
        Image.new("RGB", (2, 2), (60, 200, 60)).save(tmp_path / name, icc_profile=profile)
        assert read(tmp_path / name)[0] == [60, 200, 60]
    assert len(caplog.messages) == 1
    check(caplog.messages[0], tmp_path / "one.png", "sRGB", varies=r"\(.*?\)")


def test_a_conversion_is_said_once(tmp_path, caplog):
    for name in ("one.png", "two.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name, icc_profile=rgb_profile(DISPLAY_P3))
        read_image(tmp_path / name)
    assert len(caplog.messages) == 1
    check(caplog.messages[0], tmp_path / "one.png", "test", "sRGB")


def test_damaged_profiles_end_nothing(tmp_path):
    rng, whole = np.random.default_rng(0), cmyk_profile()
    for _ in range(50):
        damaged = bytearray(whole)
        for place in rng.integers(0, 400, 3):
            damaged[place] = rng.integers(256)
        Image.new("CMYK", (2, 2)).save(tmp_path / "image.tif", icc_profile=bytes(damaged))
        assert read_image(tmp_path / "image.tif").mode == "RGB"


def save(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(
    "values",
    [
        np.arange(256, dtype=np.int32)[None],
        np.array([[-1000, 0, 3000]], np.int32),
        np.array([[0, 65535]], np.int32),
        np.array([[-1, 0, 1]], np.float32),
        np.array([[0, 128, 255]], np.float32),
        np.array([[0, np.inf]], np.float32),
        np.array([[0, np.nan]], np.float32),
        np.array([[0, 4095]], np.uint16),
        np.array([[0, 255]], np.uint16),
    ],
    ids=[
        "i32 of 8 bits",
        "i32 signed",
        "i32 of 16 bits",
        "f32 signed",
        "f32 of 8 bits",
        "infinity",
        "NaN",
        "12 bits",
        "8 bits in 16",
    ],
)
def test_an_unknown_range_is_refused(tmp_path, values):
    path = save(tmp_path / "image.tif", values)
    with refused(DataError, path, "black", "white"):
        read_image(path)


def test_12_bits_in_16_bits_of_colour_are_refused(tmp_path):
    """A PNG of 16-bit RGB, which Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for top, is_known in ((0, True), (4095, False), (65535, True)):
        head, pixel = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0), struct.pack(">BHHH", 0, top, 0, top)
        path = tmp_path / f"{top}.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixel)) + chunk(b"IEND", b"")
        )
        if is_known:
            assert read(path)[0] == [top >> 8, 0, top >> 8]
        else:
            with refused(DataError, path, 12, "black"):
                read_image(path)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_known_ranges_keep_the_brightness_between_images(tmp_path, kind):
    white = {np.uint16: 65535, np.float32: 1}[kind]
    for level in (0, 51, 128, 255):
        path = save(tmp_path / "image.tif", np.full((1, 2), level / 255 * white, kind))
        assert read(path)[0] == pytest.approx([level] * 3, abs=1)


def test_deep_pgm_files_are_read(tmp_path):
    (tmp_path / "image.pgm").write_bytes(b"P5 2 1 4095\n" + bytes([0, 0, 15, 255]))
    assert read(tmp_path / "image.pgm") == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "I;16", "F", "CMYK"])
def test_strips_of_a_large_image_are_read_as_the_whole(tmp_path, monkeypatch, mode):
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    if mode == "I;16":
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * np.arange(24, dtype=np.uint16)[:, None] * 11)
    elif mode == "F":
        image = Image.fromarray(noise[..., 0].astype(np.float32) / 255)
    else:
        image = Image.fromarray(noise).convert(mode)
    image.save(tmp_path / "image.tif")
    whole = np.asarray(read_image(tmp_path / "image.tif"))
    monkeypatch.setattr(colours, "STRIP", 60)
    assert np.array_equal(np.asarray(read_image(tmp_path / "image.tif")), whole)
