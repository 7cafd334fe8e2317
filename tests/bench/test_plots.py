from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from i2i.bench import plots
from i2i.bench.statistics import Result
from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement
from i2i.errors import ConfigError
from i2i.images.grids import Block
from tests.wording import refused


def plain(*colours):
    return [Image.new("RGB", (16, 16), colour) for colour in colours]


def test_pictures_stand_in_the_column_of_their_contender_and_the_row_of_their_image():
    blocks = [
        Block("woman", [("source", plain("red", "green")), ("branch", plain("blue", "black"))]),
        Block("man", [("source", plain("yellow")), ("branch", plain("cyan"))]),
    ]
    sheet = plots.pictures(blocks, cell=20)
    assert sheet.size == (80 + 2 * 24, 26 + 3 * 24)
    middles = [[sheet.getpixel((80 + 24 * column + 10, 26 + 24 * row + 10)) for column in (0, 1)] for row in range(3)]
    assert middles == [
        [(255, 0, 0), (0, 0, 255)],
        [(0, 128, 0), (0, 0, 0)],
        [(255, 255, 0), (0, 255, 255)],
    ]


def single(value):
    return Score(value, value, value, 3)


@pytest.fixture
def results():
    """Return two contenders of two seeds, one of them untrained, with a mark and a group without a score."""

    def scores(value):
        score = Judgement(value, value, value, 3, real_drawings=single(0.1), untranslated=single(0.9))
        return {"woman": {"l1": score}, "man": {"l1": Judgement()}}

    moving = [
        Result("ugatit", "branch", seed, step, step == 2, {"woman": 10 * step, "man": 4}, scores(0.5 / step + seed / 9))
        for seed in (0, 1)
        for step in (1, 2)
    ]
    return [*(Result("ugatit", "none", seed, 0, True, {"woman": 0}, scores(0.6)) for seed in (0, 1)), *moving]


@pytest.mark.parametrize("draw", [plots.dots, plots.curves])
def test_a_figure_shows_the_scores_in_colour(results, tmp_path, draw):
    draw(results, "l1", tmp_path / "l1.png")
    with Image.open(tmp_path / "l1.png") as image:
        found = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    for colour in plots.COLOURS[:2] if draw is plots.curves else ():
        assert [int(colour[i : i + 2], 16) for i in (1, 3, 5)] in found.tolist()
    assert len(found) > 20


def test_a_missing_package_is_told_with_the_remedy(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **more):
        if name == "matplotlib":
            raise ImportError(name=name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with refused(ConfigError, "i2i bench", "pip install 'i2i[bench]'"):
        plots.check_available()


@pytest.mark.parametrize("draw", [plots.dots, plots.curves])
def test_real_drawings_and_untranslated_are_drawn_where_they_are_known(results, tmp_path, draw):
    for name, real in {"marked": single(0.45), "bare": None}.items():
        for result in results:
            result.scores["woman"]["l1"] = replace(result.scores["woman"]["l1"], real_drawings=real, untranslated=None)
        draw(results, "l1", tmp_path / f"{name}.png")
    assert (tmp_path / "marked.png").read_bytes() != (tmp_path / "bare.png").read_bytes()
