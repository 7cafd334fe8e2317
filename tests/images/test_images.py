"""Reading, resizing and writing images."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from i2i.errors import DataError
from i2i.images import files, grids, pixels
from tests.wording import refused

RED, WHITE = (255, 0, 0), (255, 255, 255)


def read_pixel(path: Path, background: str = "white") -> tuple[int, ...]:
    image = files.read_image(path, background)
    assert image.mode == "RGB"
    pixel = image.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "image.png"


def test_read_grey(path: Path) -> None:
    Image.new("L", (3, 2), 77).save(path)
    assert read_pixel(path) == (77, 77, 77)


def test_read_16_bit_grey_is_scaled_not_clipped(path: Path) -> None:
    Image.fromarray(np.full((2, 3), 128 * 257, np.uint16)).save(path)
    assert read_pixel(path) == (128, 128, 128)


@pytest.mark.parametrize(("kind", "start"), [(b"iCCP", b"name\0\0"), (b"zTXt", b"name\0\0")])
def test_metadata_that_unpacks_to_too_much_is_named(path: Path, kind: bytes, start: bytes) -> None:
    for size in (2**22, files.MAX_METADATA + 1):  # profiles of printers have up to 4 MB
        head, data = b"\x89PNG\r\n\x1a\n", start + zlib.compress(bytes(size))
        Image.new("RGB", (2, 2)).save(path)
        rest = path.read_bytes().removeprefix(head)
        chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        path.write_bytes(head + rest[:25] + chunk + rest[25:])  # after the header
        if size <= files.MAX_METADATA:
            assert read_pixel(path) == (0, 0, 0)
    with refused(DataError, path, "colour profile", files.MAX_METADATA):
        files.read_image(path)


def test_read_palette_with_transparency(path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, *RED])
    image.putpixel((1, 0), 1)
    image.save(path, transparency=0)
    assert read_pixel(path) == WHITE
    assert files.read_image(path).getpixel((1, 0)) == RED


def test_read_rgba_over_white_or_the_background(path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 51)).save(path)
    assert read_pixel(path) == (255, 204, 204)
    assert read_pixel(path, "black") == (51, 0, 0)


def test_read_grey_with_alpha(path: Path) -> None:
    Image.new("LA", (2, 2), (0, 0)).save(path)
    assert read_pixel(path) == WHITE


def test_read_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "image.jpg", quality=95)
    assert read_pixel(tmp_path / "image.jpg") == pytest.approx(RED, abs=3)


def test_read_applies_exif_rotation(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 16), "white")
    image.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: left becomes top
    image.save(tmp_path / "image.jpg", exif=exif, quality=95)
    actual = files.read_image(tmp_path / "image.jpg")
    assert actual.size == (16, 32)
    assert actual.getpixel((8, 4)) == pytest.approx(RED, abs=8)
    assert actual.getpixel((8, 28)) == pytest.approx(WHITE, abs=8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path: Path, orientation: int) -> None:
    image, exif = Image.effect_noise((6, 4), 80), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "image.png", exif=exif)
    with Image.open(tmp_path / "image.png") as stored:
        desired = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(np.asarray(files.read_image(tmp_path / "image.png")), desired)


def exif_of(orientation: bytes) -> bytes:
    """An EXIF with a fraction where the tag Make holds text, and an orientation, given as type, count and value."""
    make, half = struct.pack("<HHII", 0x010F, 5, 1, 38), struct.pack("<II", 1, 2)
    entries = make + struct.pack("<H", 0x0112) + orientation
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + half


def test_a_rotation_beside_a_tag_of_a_wrong_type(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), RED).save(tmp_path / "image.jpg", exif=exif_of(struct.pack("<HIHH", 3, 1, 6, 0)))
    assert files.read_image(tmp_path / "image.jpg").size == (40, 60)


@pytest.mark.parametrize(
    "exif",
    [
        exif_of(struct.pack("<HIHH", 3, 1, 77, 0)),
        exif_of(struct.pack("<HI4s", 2, 4, b"up!")),
        exif_of(struct.pack("<HIHH", 3, 2, 6, 6)),
        b"Exif\0\0II*\0\xff\xff",
        b"Exif\0\0",
    ],
)
def test_an_exif_that_says_nothing_is_ignored(tmp_path: Path, exif: bytes) -> None:
    Image.new("RGB", (60, 40), RED).save(tmp_path / "image.jpg", exif=exif)
    assert files.read_image(tmp_path / "image.jpg").size == (60, 40)


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "DDS", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "TGA", "TIFF", "WEBP"])
def test_damage_of_any_format_is_named(path: Path, kind: str) -> None:
    Image.effect_noise((16, 16), 80).convert("RGB").save(path, kind)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 200), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        with suppress(DataError):
            files.read_image(path)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("broken"), NotImplementedError("pixel format")])
def test_whatever_a_decoder_raises_names_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    Image.new("L", (2, 2)).save(path)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with refused(DataError, path):
        files.read_image(path)


def test_a_link_that_leads_nowhere_is_named(path: Path) -> None:
    path.symlink_to(path)
    with refused(DataError, path):
        files.read_image(path)


def damage(path: Path, how: str) -> None:
    if how == "truncated":
        Image.effect_noise((64, 64), 80).save(path, "JPEG")
        path.write_bytes(path.read_bytes()[:1000])
    elif how == "text":
        path.write_text("not an image")
    elif how == "empty":
        path.touch()
    elif how == "folder":
        path.mkdir()


@pytest.mark.parametrize("how", ["truncated", "text", "empty", "folder", "missing"])
def test_read_names_the_file_that_cannot_be_read(path: Path, how: str) -> None:
    damage(path, how)
    with refused(DataError, "image.png", varies=r"\(.+\)"):
        files.read_image(path)


@pytest.mark.parametrize(
    ("size", "desired"), [((200, 100), (64, 32)), ((100, 200), (32, 64)), ((10, 20), (32, 64)), ((333, 100), (107, 32))]
)
def test_fit_short_side(size: tuple[int, int], desired: tuple[int, int]) -> None:
    assert pixels.fit_short_side(Image.new("RGB", size), 32).size == desired


def test_fit_short_side_leaves_a_fitting_image_alone() -> None:
    image = Image.new("RGB", (32, 50))
    assert pixels.fit_short_side(image, 32) is image


@pytest.mark.parametrize("size", [(1, 12_000), (1_000_000, 1), (100, 1601), (0, 5)])
def test_an_image_too_long_to_fit_is_refused_before_it_takes_memory(size: tuple[int, int]) -> None:
    with refused(DataError, *size):
        pixels.fitted_size(*size, 256)


def test_how_long_an_image_may_be() -> None:
    assert pixels.fitted_size(100, 1600, 32) == (32, 512)
    assert pixels.fitted_size(100, 3200, 32, max_pixels=32 * 1024) == (32, 1024)
    with refused(DataError, "32", 32 * 1024 - 1, "--max-pixels"):
        pixels.fitted_size(100, 3200, 32, max_pixels=32 * 1024 - 1)


def test_an_image_file_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (12_000, 11_500)).save(tmp_path / "vast.png")
    monkeypatch.setattr(Image.Image, "load", None)
    with refused(DataError, tmp_path / "vast.png", 12_000, 11_500):
        files.read_image(tmp_path / "vast.png")


def test_crop_centre() -> None:
    image = Image.new("RGB", (30, 10), "white")
    image.paste(RED, (10, 0, 20, 10))
    actual = pixels.crop_centre(image, 10)
    assert actual.size == (10, 10)
    assert actual.getcolors() == [(100, RED)]


def test_tensor_round_trip_is_exact_for_every_value() -> None:
    values = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
    x = pixels.to_tensor(Image.fromarray(values))
    assert x.shape == (3, 16, 16)
    assert (x.min(), x.max()) == (-1, 1)
    assert np.array_equal(np.asarray(pixels.to_image(x)), values)


def test_to_image_clips() -> None:
    x = torch.tensor([-3.0, 0.0, 3.0]).view(3, 1, 1)
    assert pixels.to_image(x).getpixel((0, 0)) == (0, 128, 255)


def test_write_makes_the_folder_and_leaves_only_the_image(tmp_path: Path) -> None:
    files.write_image(Image.new("RGB", (2, 2), RED), tmp_path / "new" / "image.png")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["image.png"]
    assert read_pixel(tmp_path / "new" / "image.png") == RED


def test_jpeg_keeps_its_colours_and_obeys_the_quality(tmp_path: Path) -> None:
    stripes = Image.fromarray(np.tile(np.uint8([RED, (0, 0, 255)]), (32, 16, 1)))
    for quality in (30, 95):
        files.write_image(stripes, tmp_path / f"{quality}.jpg", quality)
    fine, coarse = (tmp_path / f"{quality}.jpg" for quality in (95, 30))
    assert read_pixel(fine) == pytest.approx(RED, abs=12)  # 4:2:0 would mix it with the next, blue one
    assert coarse.stat().st_size < fine.stat().st_size


@pytest.mark.parametrize("name", ["image.xyz", "image.psd", "image"])
def test_write_refuses_a_suffix_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with refused(DataError, name):
        files.write_image(Image.new("RGB", (2, 2)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_write_leaves_the_old_image_when_it_fails(path: Path) -> None:
    Image.new("RGB", (2, 2), RED).save(path)
    with refused(DataError, path, varies=r"\(.+\)"):
        files.write_image(Image.new("CMYK", (2, 2)), path)  # png has no CMYK
    assert list(path.parent.iterdir()) == [path]
    assert read_pixel(path) == RED


def test_write_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused(DataError, "image.png"):
        files.write_image(Image.new("RGB", (2, 2)), tmp_path / "file" / "image.png")


def test_write_cleans_up_when_interrupted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_image(Image.new("RGB", (2, 2)), path)
    assert list(path.parent.iterdir()) == []


def test_list_images_sorts_and_skips_what_is_hidden_or_no_image(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in files.list_images(tmp_path)] == ["a.png", "b.JPG", "c.webp"]


def test_list_images_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused(DataError, tmp_path / "file"):
        files.list_images(tmp_path / "file")
    with refused(DataError, tmp_path / "gone"):
        files.list_images(tmp_path / "gone")


def test_cut_takes_a_written_grid_apart(path: Path) -> None:
    shades = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (0, 80, 160)]
    blocks = [
        grids.Block("woman", [("source", shades), ("translation", shades[::-1])]),
        grids.Block("kid", [("source", shades[:1])]),
    ]
    files.write_image(grids.grid(blocks, cell=8), path)

    with Image.open(path) as sheet:
        found = grids.cut(sheet)

    def bare(blocks: list[grids.Block]) -> list[object]:
        return [(b.title, [(label, [i.tobytes() for i in row]) for label, row in b.rows]) for b in blocks]

    assert bare(found) == bare(blocks)


def test_cut_finds_nothing_in_an_image_that_is_no_grid(path: Path) -> None:
    files.write_image(Image.new("RGB", (8, 8)), path)
    with Image.open(path) as image:
        assert grids.cut(image) == []
