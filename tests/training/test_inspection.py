"""What may spoil a training is found, named with its file, and nothing is said of good data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from i2i.contracts.dataset import Dataset, Group
from i2i.contracts.dataset import Extended as Joined
from i2i.images.files import IMAGE_SUFFIXES
from i2i.training import inspection
from i2i.training.contact_sheet import blocks_of
from i2i.training.inspection import findings, look_at, perceptual_hash, skipped
from tests.wording import check

PARTS = ("trainA", "trainB", "testA", "testB")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Good data: 120 different images per training part, 3 held out per domain."""
    rng = np.random.default_rng(0)
    for part in PARTS:
        (tmp_path / part).mkdir()
        for number in range(120 if part.startswith("train") else 3):
            blobs = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize(
                (64, 64), Image.Resampling.BICUBIC
            )
            blobs.save(tmp_path / part / f"{number:03}.png")
    return tmp_path


@pytest.fixture
def found(root) -> Callable[..., list[str]]:
    def call(size: int = 64) -> list[str]:
        dataset = data(root)
        return [f"{one.problem} {one.remedy}" for one in findings(dataset, look_at(dataset), size)]

    return call


def data(root: Path) -> Dataset:
    return Joined([Group("all", *(root / part for part in PARTS))])


def copy(source: Path, target: Path, change: Callable[[Image.Image], Image.Image] = lambda image: image) -> Path:
    change(Image.open(source)).save(target)
    return target


def only(found: list[str], *values: object) -> None:
    assert len(found) == 1, found
    check(found[0], *values)


def test_nothing_to_say_of_good_data(found) -> None:
    assert found() == []


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_held_out_image_that_is_trained_on(root, found, suffix) -> None:
    leak = copy(root / "trainA" / "007.png", root / "testA" / f"leak{suffix}", lambda image: image.resize((90, 90)))
    only(found(), leak, root / "trainA" / "007.png", "1 image")


def test_an_image_in_both_domains(root, found) -> None:
    other = copy(root / "trainA" / "007.png", root / "trainB" / "x.png")
    only(found(), other, root / "trainA" / "007.png")


def test_many_copies_are_counted_in_linear_time(root) -> None:
    (image,) = (one for one in look_at(data(root)) if one.path == root / "trainB" / "001.png")
    copies = [replace(image, path=Path(f"{number}.png")) for number in range(20_000)]
    start = time.process_time()
    (only_finding,) = (one.problem for one in findings(data(root), copies, 64))
    assert only_finding.startswith("19999 images are there twice: 0.png")
    assert time.process_time() - start < 10


@pytest.mark.parametrize("flat", [False, True])
def test_many_near_copies_are_compared_to_one(root, flat) -> None:
    image = look_at(data(root))[0]
    look = np.zeros_like(image.look) if flat else image.look
    frames = [replace(image, digest=f"{number}".encode(), look=look) for number in range(12_000)]
    start = time.process_time()
    assert len(inspection._alike(frames)) == (0 if flat else len(frames) - 1)
    assert time.process_time() - start < 10


def test_copies_and_near_copies(root, found) -> None:
    copy(root / "trainB" / "001.png", root / "trainB" / "x.png")
    near = copy(
        root / "trainB" / "002.png", root / "trainB" / "y.png", lambda i: ImageEnhance.Brightness(i).enhance(1.02)
    )
    twice, similar = found()
    check(twice, root / "trainB" / "x.png", "twice")
    check(similar, near, root / "trainB" / "002.png", "nearly")


def test_recoloured_images_are_different(root, found) -> None:
    copy(root / "trainA" / "001.png", root / "trainA" / "x.png", lambda i: Image.merge("RGB", [i.convert("L")] * 3))
    assert not any("nearly" in one for one in found())


def test_flat_images_are_alike_only_if_they_are_equal(root, found) -> None:
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 90, 200)).save(root / "trainA" / f"flat{number}.png")
    assert found() == []


def test_small_images(root, found) -> None:
    small = copy(root / "trainA" / "001.png", root / "trainA" / "001.png", lambda image: image.resize((40, 50)))
    only(found(), "1 of 120", small, "40 x 50", "--size 64")
    assert len(found(size=40)) == 0
    assert all("--size 48" not in one and "train at --size 64" in one for one in found(size=80))


def test_strips(root, found) -> None:
    strip = copy(root / "trainA" / "001.png", root / "trainA" / "001.png", lambda image: image.resize((400, 64)))
    only(found(), strip, "400 x 64")


def test_some_greyscale_images(root, found) -> None:
    grey = copy(root / "trainB" / "001.png", root / "trainB" / "001.png", lambda image: image.convert("L"))
    only(found(), grey, "1 of 120", "domain b")
    for path in (root / "trainB").iterdir():
        copy(path, path, lambda image: image.convert("L"))
    assert found() == []


def test_too_few_unbalanced_and_nothing_held_out(root, found) -> None:
    for path in sorted((root / "trainB").iterdir())[20:]:
        path.unlink()
    for path in (root / "testB").iterdir():
        path.unlink()
    few, lopsided, unscored = found()
    check(few, 120, 20, inspection.FEW_BASE)
    check(lopsided, 120, 20)
    check(unscored, "testA")


def test_skipped_files_and_why(root) -> None:
    (root / "trainA" / "deeper").mkdir()
    (root / "other").mkdir()
    for name in ("trainA/notes.txt", "trainA/.hidden.png", "trainA/deeper/x.png", "other/x.png", "x.PSD"):
        (root / name).touch()
    reasons = {reason: [str(path.relative_to(root)) for path in paths] for reason, paths in
               skipped(root, [image.path for image in look_at(data(root))], IMAGE_SUFFIXES)}  # fmt: skip
    assert reasons == {
        "hidden": ["trainA/.hidden.png"],
        "not an image file of a known kind": ["trainA/notes.txt", "x.PSD"],
        "not directly in trainA, trainB, testA or testB": ["other/x.png", "trainA/deeper/x.png"],
    }


def test_the_hash_of_a_gradient() -> None:
    rising = Image.linear_gradient("L").rotate(90)
    assert np.bitwise_count(perceptual_hash(rising)).sum() in (0, 256)
    assert np.array_equal(perceptual_hash(rising), perceptual_hash(rising.resize((99, 77))))


def test_the_contact_sheet_shows_images_of_each_part(root) -> None:
    (block,) = blocks_of(data(root), most=5, cell=16)
    assert [(label, len(images)) for label, images in block.rows] == [
        ("train a: 120", 5), ("train b: 120", 5), ("test a: 3", 3), ("test b: 3", 3)
    ]  # fmt: skip
    assert {image.size for _, images in block.rows for image in images} == {(16, 16)}
