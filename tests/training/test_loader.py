from __future__ import annotations

import threading

import pytest
import torch
from PIL import Image

from i2i.contracts.dataset import Dataset
from i2i.errors import DataError
from i2i.images.files import read_image
from i2i.images.pixels import fit_short_side, to_tensor
from i2i.training import decoding
from i2i.training.loader import Loader
from tests.wording import refused


class Colours(Dataset):
    """One image a colour, larger than the crops."""

    groups = ("all",)
    base = "all"

    def __init__(self, folder, count):
        self.paths = [folder / f"{i}.png" for i in range(count)]
        for i, path in enumerate(self.paths):
            Image.new("RGB", (60, 50), (i * 20, 0, 0)).save(path)

    def train(self, group, domain):
        return self.paths

    def test(self, group, domain):
        return []


@pytest.fixture
def colours(tmp_path):
    return Colours(tmp_path, 5)


def reds(loader, count, domain="a"):
    return [
        round((loader.batch(("all",)).real[domain].mean((0, 2, 3))[0].item() + 1) * 127.5 / 20) for _ in range(count)
    ]


def test_every_image_comes_once_before_any_comes_again(colours):
    seen = reds(Loader(colours, 32, 0), 15)
    rounds = [seen[i : i + 5] for i in (0, 5, 10)]
    assert [sorted(one) for one in rounds] == [[0, 1, 2, 3, 4]] * 3
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]


def test_the_two_domains_are_shuffled_apart(colours):
    one, other = Loader(colours, 32, 0), Loader(colours, 32, 0)
    assert reds(one, 5, "a") != reds(other, 5, "b")


def test_the_seed_decides_everything(colours):
    one, two, three = (Loader(colours, 32, seed).batch(("all",) * 5).real["a"] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_positions_are_the_whole_state(colours):
    whole, later = Loader(colours, 32, 0), Loader(colours, 32, 0)
    whole.batch(("all",) * 3)
    later.positions = dict(whole.positions)
    assert torch.equal(whole.batch(("all",) * 4).real["b"], later.batch(("all",) * 4).real["b"])


def test_samples_do_not_depend_on_what_other_groups_draw(folder_root, registry):
    from i2i.models.data import resolve_data

    data = resolve_data({"data": {"name": "folder", "root": str(folder_root)}}, registry).build()
    alone, mixed = Loader(data, 32, 0), Loader(data, 32, 0)
    mixed.batch(("kid", "man"))
    assert torch.equal(alone.batch(("woman",)).real["a"], mixed.batch(("woman",)).real["a"])


def test_crops_are_of_the_resized_image_flipped_or_not(tmp_path):
    gradient = Image.linear_gradient("L").rotate(90).convert("RGB")
    gradient.save(tmp_path / "0.png")
    data = Colours(tmp_path, 0)
    data.paths = [tmp_path / "0.png"]
    crops = Loader(data, 32, 0).batch(("all",) * 16).real["a"]
    rising = (crops[:, 0, 0, -1] > crops[:, 0, 0, 0]).tolist()
    assert crops.shape == (16, 3, 32, 32)
    assert len(set(rising)) == 2
    whole = to_tensor(gradient)
    assert crops.min() >= whole.min() - 0.01
    assert crops.max() <= whole.max() + 0.01


@pytest.fixture
def slopes(tmp_path):
    data = Colours(tmp_path, 0)
    data.paths = [tmp_path / "0.png"]
    Image.linear_gradient("L").rotate(90).convert("RGB").save(data.paths[0])  # 256 x 256, dark to bright
    return data


def test_what_must_not_be_mirrored_is_not(slopes):
    flipped, unflipped = (Loader(slopes, 32, 0, flip=flip).batch(("all",) * 16).real["a"] for flip in (True, False))
    assert {bool(crop[0, 0, -1] > crop[0, 0, 0]) for crop in flipped} == {True, False}
    assert all(crop[0, 0, -1] > crop[0, 0, 0] for crop in unflipped)
    mirrored = [crop if crop[0, 0, -1] > crop[0, 0, 0] else crop.flip(2) for crop in flipped]
    assert torch.equal(torch.stack(mirrored), unflipped)  # the same crops, whether mirrored or not


def test_without_a_margin_a_square_image_is_not_cropped(slopes):
    samples = Loader(slopes, 32, 0, flip=False, margin=1).batch(("all",) * 4).real["a"]
    whole = to_tensor(fit_short_side(read_image(slopes.paths[0]), 32))
    assert torch.equal(samples, whole.expand(4, -1, -1, -1))


def test_a_margin_is_what_crops_are_taken_from(slopes):
    near, wide = (Loader(slopes, 32, 0, flip=False, margin=m).batch(("all",) * 8).real["a"] for m in (1.1171875, 2))
    assert [round((x[..., -1] - x[..., 0]).mean().item(), 1) for x in (near, wide)] == [1.7, 1.0]


def test_a_full_cache_changes_nothing(colours):
    cached, uncached = Loader(colours, 32, 0), Loader(colours, 32, 0, cache_mib=0)
    for _ in range(2):
        assert torch.equal(cached.batch(("all",) * 3).real["a"], uncached.batch(("all",) * 3).real["a"])


def test_what_is_skipped_is_what_would_have_been_drawn(colours):
    whole, part = Loader(colours, 32, 0), Loader(colours, 32, 0)
    drawn = whole.batch(("all",) * 5)
    part.skip(("all",) * 3)
    rest = part.batch(("all",) * 2)
    assert part.positions == whole.positions == {"all/a": 5, "all/b": 5}
    assert all(torch.equal(rest.real[domain], drawn.real[domain][3:]) for domain in "ab")


@pytest.mark.parametrize(("skipped", "batches"), [(0, 1), (3, 2)], ids=["alone", "with another process"])
def test_images_of_later_batches_are_decoded_ahead(tmp_path, monkeypatch, skipped, batches):
    colours = Colours(tmp_path, 12)
    monkeypatch.setattr(colours, "train", lambda group, domain: colours.paths["ab".index(domain) :: 2])
    waited = []
    monkeypatch.setattr(decoding, "read_image", lambda path: _noted(path, waited))
    loader = Loader(colours, 32, 0, cache_mib=0)
    for _ in range(batches):  # shows how positions advance
        loader.batch(("all",) * 2)
        loader.skip(("all",) * skipped)
    assert waited
    waited.clear()
    for _ in range(3):
        loader.batch(("all",) * 2)
        loader.skip(("all",) * skipped)
    assert not waited


def test_wrong_guesses_change_no_sample(colours):
    steady, changing = Loader(colours, 32, 0, cache_mib=0), Loader(colours, 32, 0, cache_mib=0)
    expected = torch.cat([steady.batch(("all",)).real["b"] for _ in range(10)])
    actual = [changing.batch(("all",) * count).real["b"] for count in (3, 1, 4, 2)]
    assert torch.equal(torch.cat(actual), expected)


def test_a_broken_image_is_named_by_the_batch_that_draws_it(colours):
    loader = Loader(colours, 32, 0)
    colours.paths[3].write_bytes(b"no image")
    with refused(DataError, "3.png"):
        loader.batch(("all",) * 5)


def test_what_is_decoded_ahead_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_MOST_AHEAD", 4)
    images = decoding.DecodedImages(32, 0)
    images.expect(Colours(tmp_path, 12).paths)
    assert len(images._ahead) == 4


def _noted(path, waited):
    if threading.current_thread() is threading.main_thread():
        waited.append(path)
    return read_image(path)
