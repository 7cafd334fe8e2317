"""Tiles: they cover an image, blend without seams, and share the statistics of the whole image."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.translation import tiles
from i2i.translation.stages import worker_threads
from i2i.translation.tiles import Tiling, _blended, _patches, translate_in_tiles
from tests.sampling import sampled
from tests.wording import refused

BACKBONES = {"ugatit": "ugatit", "cyclegan": "resnet", "unit": "unit", "photo2cartoon": "photo2cartoon"}


@pytest.fixture(params=sampled(*BACKBONES))
def model(request: pytest.FixtureRequest, tiny: dict[str, Any], registry: Any) -> Model:
    torch.manual_seed(0)
    blocks = {} if request.param == "photo2cartoon" else {"blocks": 1}
    chosen = {**tiny, "backbone": {"name": request.param, "channels": 4}, "generator": blocks}
    model = Model(resolve(chosen, registry), "woman")
    model.backbone.eval()
    return model


@pytest.fixture
def threads() -> Iterator[Executor]:
    with worker_threads(2) as threads:
        yield threads


@pytest.fixture
def image() -> Image.Image:
    """A picture whose halves differ, so that tiles with statistics of their own would, too."""
    noise = Image.effect_noise((280, 200), 30).convert("RGB")
    shade = Image.linear_gradient("L").resize(noise.size).convert("RGB")
    return Image.blend(noise, shade, 0.7)


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))


ERRORS = {"ugatit": 2.0, "cyclegan": 1.0, "unit": 2.5, "photo2cartoon": 13.0}
"""Mean differences in 8-bit values; the hourglasses of photo2cartoon see farther than any tile reaches."""


def test_tiles_come_near_the_translation_in_one_piece(model, image, threads, monkeypatch) -> None:
    name = model.components.backbone.component.name
    monkeypatch.setattr(tiles, "SIDE", 160)
    whole = model.translate(image, size=200)
    shared = difference(translate_in_tiles(model, image, None, "a2b", 2, False, threads), whole).mean()
    alone = difference(in_tiles_of_their_own(model, image, threads, monkeypatch), whole).mean()
    assert shared < ERRORS[name]
    assert shared < alone / (1.2 if name == "photo2cartoon" else 5)


def in_tiles_of_their_own(model, image, threads, monkeypatch) -> Image.Image:
    """Translate tiles, each with the statistics of its own."""
    translate = partial(model.translate, group=None, direction="a2b", size=160)
    monkeypatch.setattr(tiles._Tiler, "__call__", lambda self, crops: translate(tiles._batch(crops)))
    return translate_in_tiles(model, image, None, "a2b", 1, False, threads)


def test_an_image_smaller_than_a_tile_is_translated_whole(model, threads) -> None:
    image = Image.effect_noise((70, 52), 80).convert("RGB")
    actual = translate_in_tiles(model, image, None, "a2b", 4, False, threads)
    assert difference(actual, model.translate(image, size=52)).max() <= 1


def test_statistics_come_from_a_sample_within_max_pixels(model, image, threads, monkeypatch) -> None:
    seen, translate = [], model.translate
    monkeypatch.setattr(model, "translate", lambda x, *rest: seen.append(tuple(x.shape)) or translate(x, *rest))
    monkeypatch.setattr(tiles, "SIDE", 128)
    model.max_pixels = 128 * 128
    translate_in_tiles(model, image, None, "a2b", 1, False, threads)
    assert seen[0] == (15, 3, 32, 32)
    assert set(seen[1:]) == {(1, 3, 128, 128)}


def test_a_limit_below_one_tile(model, image, threads) -> None:
    model.max_pixels = 1000
    with refused(ConfigError, "--max-pixels", "--tiles", 256 * 256):
        translate_in_tiles(model, image, None, "a2b", 1, False, threads)


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([1, 4, 16, 64, 256, 512]))
def test_every_pixel_is_covered_and_neighbours_overlap(width, height, multiple_of) -> None:
    tiling = Tiling.of(width, height, multiple_of)
    for spans, length in ((tiling.rows, height), (tiling.columns, width)):
        assert (spans[0][0], spans[-1][1]) == (0, length)
        assert len({end - start for start, end in spans}) == 1
        assert all(before[1] - after[0] >= tiles.OVERLAP for before, after in pairwise(spans))


@given(st.integers(200, 900), st.integers(200, 900))
def test_blending_equal_tiles_changes_nothing(width, height) -> None:
    tiling = Tiling.of(width, height, 4)
    x = torch.rand(3, height, width) * 2 - 1
    parts = [x[:, top:bottom, left:right] for top, bottom in tiling.rows for left, right in tiling.columns]
    expected = x.add(1).mul(127.5).permute(1, 2, 0).numpy()
    assert np.abs(_blended(iter(parts), tiling) - expected).max() <= 0.51


@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(1, 2**20))
def test_patches_lie_in_the_image_and_within_the_limit(width, height, pixels) -> None:
    boxes = _patches(width, height, 32, pixels)
    side = boxes[0][2] - boxes[0][0]
    assert all((right - left, bottom - top) == (side, side) for left, top, right, bottom in boxes)
    assert all(left >= 0 and right <= width and top >= 0 and bottom <= height for left, top, right, bottom in boxes)
    assert len(boxes) * side * side <= max(pixels, side * side)
