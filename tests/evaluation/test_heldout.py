from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from i2i.contracts.branches import branch_parameters
from i2i.evaluation.heldout import CHUNK, files, show, stack, undisturbed
from i2i.images.grids import spread
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.testing import Noise
from tests.conftest import write_noise


@pytest.fixture
def paths(tmp_path):
    write_noise(tmp_path / "images", CHUNK + 2)
    return sorted((tmp_path / "images").iterdir())


class TestFiles:
    def test_are_read_chunk_by_chunk_again_and_again(self, paths):
        images = files(paths, 32)
        assert [len(chunk) for chunk in images] == [CHUNK, 2]
        assert torch.equal(images.whole(), stack(paths, 32))
        assert torch.equal(images.whole(), images.whole())
        assert len(images) == len(paths)
        assert images.names == [str(path) for path in paths]

    def test_are_named_by_their_designs(self, paths):
        assert files(paths[:3], 32, lambda path: path.stem[0]).names == ["0", "1", "1"]

    def test_carry_what_is_known_to_be_in_them(self, paths):
        assert files(paths[:2], 32, attributes=lambda path: {"number": path.stem}).attributes == [
            {"number": "0"},
            {"number": "1"},
        ]
        assert files(paths[:2], 32).attributes == ()

    def test_are_the_middle_square_of_the_size(self, tmp_path):
        wide = Image.new("RGB", (80, 40), "red")
        wide.paste("blue", (20, 0, 60, 40))
        wide.save(tmp_path / "wide.png")
        pixels = files([tmp_path / "wide.png"], 40).whole()
        assert pixels.shape == (1, 3, 40, 40)
        assert torch.equal(pixels[0, :, 0, 0], torch.tensor([-1.0, -1.0, 1.0]))
        assert pixels.amax(dim=(0, 2, 3)).tolist() == [-1, -1, 1]

    def test_have_a_key_of_content_order_and_size_not_of_names(self, paths, tmp_path):
        key = files(paths, 32).key
        assert len(key) == 64
        assert files(paths, 32).key == key
        assert len({key, files(paths, 33).key, files(paths[::-1], 32).key, files(paths[:-1], 32).key}) == 4
        moved = [path.rename(tmp_path / f"moved-{path.name}") for path in paths]
        assert files(moved, 32).key == key
        Image.new("RGB", (40, 40)).save(moved[0])
        assert files(moved, 32).key != key

    def test_of_nothing_have_no_key(self):
        assert files([], 32).key == ""
        assert list(files([], 32)) == []


@pytest.mark.parametrize(
    ("count", "chosen"), [(0, []), (1, [0]), (2, [0, 5]), (3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))]
)
def test_items_are_spread_evenly(count, chosen):
    assert spread(range(10), count) == chosen
    assert spread([], count) == []


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_no_trace(training):
    network = nn.Dropout().train(training)

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(7)
    expected = draw()
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(7)
    with suppress(ZeroDivisionError), undisturbed(network):
        draw()
        assert not network.training
        assert not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert draw() == expected
    assert network.training == training
    assert torch.is_grad_enabled()


def test_every_group_is_shown_by_its_own_branch(tiny, registry, tmp_path):
    class Paired(Noise):
        def pairs(self, group):
            return list(zip(self.train(group, "a"), self.train(group, "b"), strict=True))

    data, model = Paired(tmp_path, ("woman", "man")), Model(resolve(tiny, registry), "woman", ["man"])
    before = show({"translation": model}, data)
    with torch.no_grad():
        for parameter in branch_parameters(model.backbone.generators, ["man"]):
            parameter.add_(torch.randn_like(parameter))
    after = show({"translation": model}, data)
    same = [_pixels(old.rows[1][1]) == _pixels(new.rows[1][1]) for old, new in zip(before, after, strict=True)]
    assert same == [True, False]
    assert [label for label, _ in after[0].rows] == ["source", "translation", "true drawing"]


def _pixels(images):
    return [image.tobytes() for image in images]


def test_real_drawings_stand_in_where_no_true_translation_is_known(tmp_path):
    data = Noise(tmp_path, ("woman", "man"))
    for block in show({}, data, count=2, drawings=True):
        assert [(label, len(images)) for label, images in block.rows] == [("source", 2), ("real drawings", 2)]
    assert [label for label, _ in show({}, data)[0].rows] == ["source"]
