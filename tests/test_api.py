"""The Python API: lazy names, loading, and translating images of any type and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from i2i.config.options import merge
from i2i.errors import ConfigError, DataError
from i2i.runs.run import create_run
from tests.wording import refused


@pytest.fixture(scope="module")
def trained(tmp_path_factory, registry):
    from tests.conftest import write_noise

    root = tmp_path_factory.mktemp("data")
    for group in ("woman", "man"):
        for part in ("trainA", "trainB"):
            write_noise(root / group / part, 2)
    given = {"size": 32, "batch_size": 1, "steps": 1, "transfer_steps": 1, "backbone": {"channels": 4}, "device": "cpu",
             "generator": {"blocks": 1}, "evaluate": {"metrics": ["l1"]},
             "data": {"name": "folder", "root": str(root), "base": "woman"}}  # fmt: skip
    folder = tmp_path_factory.mktemp("runs") / "run"
    create_run(folder, given, registry).execute()
    return folder


@pytest.fixture(scope="module")
def model(trained):
    return i2i.load(trained)


def test_every_public_name_exists():
    for name in i2i.__all__:
        assert getattr(i2i, name) is not None
    with pytest.raises(AttributeError, match="attribute nonsense"):
        _ = i2i.nonsense


def test_a_loaded_model_translates_like_the_saved_one(trained, model):
    assert model.groups == ("woman", "man")
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    woman, man = (model.translate(x, group) for group in model.groups)
    assert torch.equal(woman, i2i.load(trained / "model.safetensors").translate(x))
    assert not torch.equal(woman, man)


def test_a_run_is_opened_by_its_folder(trained):
    run = i2i.open_run(str(trained))

    assert run.dataset.groups == ("woman", "man")
    assert run.config.steps == 1
    with refused(ConfigError, "run.toml"):
        i2i.open_run(trained / "nowhere")


def test_a_run_is_created_from_installed_plugins_and_trained_by_execute(tmp_path, tiny):
    run = i2i.create_run(str(tmp_path / "run"), tiny)
    assert not (tmp_path / "run" / "model.safetensors").exists()

    run.execute()

    assert i2i.load(tmp_path / "run").groups == run.dataset.groups
    with refused(ConfigError, "--overwrite"):
        i2i.create_run(tmp_path / "run", tiny)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (20, 90), (400, 300)])
def test_a_translation_has_the_size_of_its_input(model, size):
    image = Image.new("RGB", size, "orange")
    assert model.translate(image, "man").size == size
    assert model.translate(np.asarray(image), "man").shape == (size[1], size[0], 3)
    assert model.translate(torch.zeros(3, size[1], size[0])).shape == (3, size[1], size[0])
    assert model.translate(torch.zeros(2, 3, size[1], size[0]), direction="b2a").shape == (2, 3, size[1], size[0])


def test_images_arrays_and_tensors_are_translated_alike(model):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    from i2i.images.pixels import to_image, to_tensor

    expected = np.asarray(model.translate(image, "man"))
    assert np.array_equal(model.translate(np.asarray(image), "man"), expected)
    assert np.array_equal(np.asarray(to_image(model.translate(to_tensor(image), "man"))), expected)


def test_translating_does_not_change_the_mode_of_the_model(model):
    model.backbone.train()
    model.translate(torch.zeros(3, 32, 32))
    assert model.backbone.training


def test_wrong_groups_and_shapes_are_named(model):
    with refused(ConfigError, "men", "man"):
        model.translate(torch.zeros(3, 32, 32), "men")
    with refused(DataError, "(1, 32, 32)"):
        model.translate(torch.zeros(1, 32, 32))
    with refused(DataError, "uint8", "float64"):
        model.translate(np.zeros((32, 32, 3)))
    with refused(ConfigError, "a2c"):
        model.translate(torch.zeros(3, 32, 32), direction="a2c")


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (Path("face.png"), ("PosixPath", "i2i.read_image", 3)),
        ("face.png", ()),
        (None, ("NoneType",)),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), ("(3, 32, 32)", "torch.uint8")),
        (torch.zeros(0, 3, 32, 32), ("(0, 3, 32, 32)", "torch.float32")),
        (torch.zeros(3, 0, 32), ("(3, 0, 32)", "torch.float32")),
        (torch.full((3, 32, 32), 255.0), ("-1", 1, 255)),
        (torch.full((3, 32, 32), float("nan")), ("-1", 1)),
        (np.zeros((32, 32), np.uint8), (3, "(32, 32)")),
        (np.zeros((0, 32, 3), np.uint8), (32, 0)),
        (Image.new("RGB", (0, 5)), (0, 5)),
    ],
)
def test_invalid_images_are_refused(model, odd, named):
    with refused(DataError, *named):
        model.translate(odd)


def test_the_full_generator_also_takes_any_size(tiny, registry):
    from i2i.models.assembly import resolve
    from i2i.models.model import Model

    full = Model(resolve(merge(tiny, {"backbone": {"light": False}}), registry), "woman")
    assert full.translate(torch.zeros(3, 50, 80)).shape == (3, 50, 80)
