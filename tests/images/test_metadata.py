"""What translations keep of their sources: transparency, EXIF tags, resolution, and sRGB where there was a profile."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from i2i.images.files import read_image, write_image
from i2i.images.metadata import Metadata, _dpi

SIZE = (12, 8)
Base = ExifTags.Base


def kept(source: Path, suffix: str, image: Image.Image | None = None) -> Image.Image:
    """Write an image with the metadata of a source, and open it."""
    metadata = Metadata.of(source)
    target = source.with_name(f"new{suffix}")
    write_image(metadata.added_to(image or read_image(source), suffix), target, **metadata.options())
    return Image.open(target)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A photograph that lies on its side, with a camera, a place, a preview, a resolution and a profile."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Orientation], exif[Base.ImageWidth] = "Leica", 6, SIZE[0]
    exif.get_ifd(ExifTags.IFD.Exif).update({Base.ColorSpace: 65535, Base.FNumber: 2.8})
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 12.5
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    path = tmp_path / "photo.jpg"
    Image.effect_noise(SIZE, 60).convert("RGB").save(path, exif=exif, dpi=(300, 300), icc_profile=profile)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_tags_resolution_and_srgb(photograph, suffix) -> None:
    with kept(photograph, suffix) as actual:
        exif = actual.getexif()
        assert actual.size == SIZE[::-1]
        assert exif[Base.Make] == "Leica"
        assert exif.get(Base.Orientation, 1) == 1
        assert exif.get_ifd(ExifTags.IFD.Exif)[Base.FNumber] == pytest.approx(2.8)
        assert exif.get_ifd(ExifTags.IFD.Exif)[Base.ColorSpace] == 1
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] == pytest.approx(12.5)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(actual.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        if suffix in (".jpg", ".png", ".tif"):
            assert [round(float(value)) for value in actual.info["dpi"]] == [300, 300]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "RGB", "CMYK", "I;16"])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".jpg", ".bmp"])
def test_transparency_of_every_mode(tmp_path, mode, suffix) -> None:
    layer = Image.new("RGBA", SIZE, (200, 30, 30, 255))
    layer.paste((0, 0, 0, 0), (0, 0, 6, 8))
    source = tmp_path / ("source.tif" if mode == "CMYK" else "source.png")
    if mode == "P":
        palette = Image.new("P", SIZE, 1)
        palette.putpalette([0, 0, 0, 200, 30, 30])
        palette.paste(0, (0, 0, 6, 8))
        palette.save(source, transparency=0)
    else:
        (Image.new("I;16", SIZE, 40_000) if mode == "I;16" else layer.convert(mode)).save(source)
    with kept(source, suffix) as actual:
        assert actual.size == SIZE
        if mode in ("RGBA", "LA", "P") and suffix not in (".jpg", ".bmp"):
            expected = np.zeros(SIZE[::-1], np.uint8)
            expected[:, 6:] = 255
            assert np.array_equal(actual.convert("RGBA").getchannel("A"), expected)
        else:
            assert not actual.has_transparency_data


def test_transparency_turns_with_the_image(tmp_path) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 255))
    layer.putpixel((0, 0), (0, 0, 0, 0))
    layer.save(tmp_path / "source.png", exif=exif)
    with kept(tmp_path / "source.png", ".webp") as actual:
        assert actual.size == SIZE[::-1]
        assert actual.getpixel((SIZE[1] - 1, 0))[3] == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b""])
def test_damaged_tags_are_left_out(tmp_path, exif) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "source.jpg", exif=exif)
    with kept(tmp_path / "source.jpg", ".jpg") as actual:
        assert len(actual.getexif()) == 0


@pytest.mark.parametrize("dpi", [(0, 0), (-1, 3)])
def test_a_resolution_that_means_nothing_is_left_out(dpi) -> None:
    assert _dpi({"dpi": dpi}) is None


def test_tags_that_no_jpeg_can_hold_are_left_out(tmp_path) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = "x" * 70_000
    Image.new("RGB", SIZE).save(tmp_path / "source.png", exif=exif)
    with kept(tmp_path / "source.png", ".jpg") as actual:
        assert len(actual.getexif()) == 0


def test_a_plain_image_has_none(tmp_path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "source.png")
    assert Metadata.of(tmp_path / "source.png") == Metadata()
