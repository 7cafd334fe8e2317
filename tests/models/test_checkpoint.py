"""Files of models: whole or not at all, described by themselves, and refused with a reason."""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import pytest
import torch
from safetensors.torch import save_file

from i2i.errors import CheckpointError, UnknownComponentError
from i2i.models import checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage import tensor_file
from tests.wording import refused


@pytest.fixture
def model(tiny, registry):
    return Model(resolve({key: value for key, value in tiny.items() if key != "data"}, registry), "woman", ["man"])


@pytest.fixture
def path(model, tmp_path):
    checkpoint.save(model, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_round_trip(model, path, registry) -> None:
    actual = checkpoint.load(path, registry)
    assert actual.groups == ("woman", "man")
    assert actual.components.config.generator == model.components.config.generator
    weights = actual.backbone.state_dict()
    assert weights.keys() == model.backbone.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.backbone.state_dict().items())


def test_says_how_it_was_trained(path, tiny) -> None:
    config = checkpoint.read_model_description(path)["config"]
    expected = {"preset": "quick", "seed": 0, "precision": "32", "steps": 3, "transfer_steps": 2, "batch_size": 2}
    assert {name: config[name] for name in expected} == expected
    assert not {"device", "threads", "data", "stages"} & config.keys()


def test_leaves_no_temporary_file(path) -> None:
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_whose_plugin_is_missing_names_its_distribution(path) -> None:
    rest = Registry([e for e in entry_points(group="i2i") if e.name != "ugatit"])
    with refused(UnknownComponentError, path, "ugatit"):
        checkpoint.load(path, rest)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_cut_short(path, keep, registry) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with refused(CheckpointError, path, varies=r"\(.+\)"):
        checkpoint.load(path, registry)


@pytest.mark.parametrize(
    ("about", "numbers"),
    [({}, ()), ({"format": 99}, (99, 1)), ({"format": 1}, ())],
)
def test_described_otherwise(path, about, numbers, registry) -> None:
    save_file({"x": torch.zeros(1)}, path, {"i2i": json.dumps(about)})
    with refused(CheckpointError, path, *numbers):
        checkpoint.load(path, registry)


def test_with_other_weights_than_it_says(model, path, registry) -> None:
    tensors, about = tensor_file.read(path)
    name = next(iter(tensors))
    tensor_file.write(path, {**tensors, name: torch.zeros(2, 3)}, about)
    shape = tuple(tensors[name].shape)
    with refused(CheckpointError, name, "(2, 3)", shape):
        checkpoint.load(path, registry)
    tensor_file.write(path, {key: tensor for key, tensor in tensors.items() if key != name}, about)
    with refused(CheckpointError, name, shape):
        checkpoint.load(path, registry)
    tensor_file.write(path, {**tensors, "a": torch.zeros(1)}, about)
    with refused(CheckpointError, "a", "(1,)"):
        checkpoint.load(path, registry)


def test_with_options_that_are_gone(path, registry) -> None:
    tensors, about = tensor_file.read(path)
    about["config"]["generator"]["old_option"] = 3
    tensor_file.write(path, tensors, about)
    with refused(CheckpointError, path, "old_option", "i2i"):
        checkpoint.load(path, registry)


def test_of_a_folder_without_a_model(tmp_path, registry) -> None:
    with refused(CheckpointError, tmp_path, "model.safetensors"):
        checkpoint.load(tmp_path, registry)
    with refused(CheckpointError, tmp_path / "gone", ".safetensors"):
        checkpoint.load(tmp_path / "gone", registry)
