"""Slim files: half precision, and pretrained networks left out, which training finds again on its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

import i2i
from i2i.errors import CheckpointError, WeightsError
from i2i.groups.stored import open_model
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.description import read_model_description
from i2i.models.frozen import removable
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.storage.tensor_file import TensorFile, write
from tests.wording import refused

NETWORK = "test_resnet"
JUDGES = {
    "branched": {"judge": "branched"},
    "deep": {"judge": "branched", "judge_depth": 1},
    "classification": {"judge": "classification"},
    "projection": {"judge": "projection+classification"},
    "fresh": {"discriminators": "fresh"},
}


@pytest.fixture
def weights(tmp_path) -> Path:
    """The weights of the network that discriminators look through, in a file."""
    file = tmp_path / "net.pth"
    torch.save(timm.create_model(NETWORK).state_dict(), file)
    return file


@pytest.fixture
def made(registry, weights):
    """Return a function that makes a prepared model of two groups; an untrained one, which changes nothing here."""

    def make(judge="timm+patch", transfer=None, **options) -> Model:
        looking = {"network": NETWORK, "weights": str(weights), **options}
        section = {"name": judge, "timm": looking} if "+" in judge else {"name": judge, **looking}
        sizes = {"size": 32, "backbone": {"channels": 4}, "generator": {"blocks": 1}}
        chosen = resolve({**sizes, "discriminator": section, "transfer": transfer or {"name": "branch"}}, registry)
        model = Model(chosen, "woman")
        model.prepare(PretrainedNetworks(registry))
        model.adapt(chosen, ["man"])
        return model

    return make


@pytest.fixture
def slim(made, tmp_path) -> Path:
    save(made(), tmp_path / "slim.safetensors", slim=True)
    return tmp_path / "slim.safetensors"


def picture() -> torch.Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("judge", ["timm", "timm+patch+patch/2"])
@pytest.mark.parametrize("options", JUDGES.values(), ids=JUDGES)
def test_a_slim_file_is_read_with_the_same_networks(made, registry, tmp_path, judge, options) -> None:
    model = made(judge, {"name": "branch", **options})
    for slim in (False, True):
        save(model, tmp_path / f"{slim}.safetensors", slim=slim)
    full, small = (tmp_path / f"{slim}.safetensors" for slim in (False, True))
    assert not any(".trunk." in name for name in TensorFile(small))
    left_out = read_model_description(small).left_out
    assert [part.path.split(".")[1] for part in left_out] == ["a", "b"]
    assert all(NETWORK in part.title for part in left_out)
    assert small.stat().st_size < full.stat().st_size / 2
    saved, actual = model.backbone.state_dict(), load(small, registry, judges=True).backbone.state_dict()
    assert actual.keys() == saved.keys()
    for name, tensor in actual.items():
        kept = saved[name].half() if ".trunk." not in name and tensor.is_floating_point() else saved[name]
        assert torch.equal(tensor, kept.to(tensor.dtype))
        assert tensor.dtype == saved[name].dtype


@pytest.mark.parametrize("transfer", ["finetune", "adapter", "freeze-d", "joint"])
def test_every_transfer_finds_the_network_again(made, registry, tmp_path, transfer) -> None:
    model = made(transfer={"name": transfer})
    save(model, tmp_path / "slim.safetensors", slim=True)
    assert len(read_model_description(tmp_path / "slim.safetensors").left_out) == 2
    judges = load(tmp_path / "slim.safetensors", registry, judges=True).backbone.discriminators.state_dict()
    trunks = {name: one for name, one in model.backbone.discriminators.state_dict().items() if ".trunk." in name}
    assert trunks
    assert all(torch.equal(judges[name], tensor) for name, tensor in trunks.items())


def test_pictures_differ_by_less_than_a_grey_level(made, registry, tmp_path) -> None:
    model = made()
    save(model, tmp_path / "slim.safetensors", slim=True)
    for group in ("woman", "man"):
        difference = load(tmp_path / "slim.safetensors", registry).translate(picture(), group) - model.translate(
            picture(), group
        )
        assert difference.abs().max() < 2 / 255


def test_translating_needs_no_pretrained_weights(slim, weights, registry) -> None:
    before = load(slim, registry).translate(picture(), "man")
    weights.unlink()
    model = load(slim, registry)
    assert torch.equal(model.translate(picture(), "man"), before)
    with refused(WeightsError, slim, NETWORK, weights):
        load(slim, registry, judges=True)
    with refused(WeightsError, slim, NETWORK, weights):
        model.read_judges()
    with refused(WeightsError, slim, NETWORK, weights):
        open_model(slim, registry)


def test_other_weights_are_refused(slim, weights, registry) -> None:
    torch.save(timm.create_model(NETWORK).state_dict(), weights)
    with refused(WeightsError, slim, NETWORK, read_model_description(slim).left_out[0].sha256):
        load(slim, registry, judges=True)


def test_automatic_weights_that_are_missing_are_named(made, registry, weights, tmp_path, monkeypatch) -> None:
    cache = tmp_path / "cache" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("i2i_features.timm_maps._cached", lambda config: next(cache.iterdir(), None))
    copy = weights.rename(cache / weights.name)
    save(made(weights="auto"), tmp_path / "slim.safetensors", slim=True)
    assert len(read_model_description(tmp_path / "slim.safetensors").left_out) == 2
    load(tmp_path / "slim.safetensors", registry, judges=True)
    copy.unlink()
    with refused(WeightsError, "slim.safetensors", f"timm:{NETWORK}", varies=r"https://\S+"):
        load(tmp_path / "slim.safetensors", registry, judges=True)


def test_what_differs_from_the_weights_of_this_machine_is_stored(made, registry, tmp_path, weights) -> None:
    random, changed, gone = made(weights="random"), made(), made()
    with torch.no_grad():
        next(changed.backbone.discriminators["a"].parts["timm"].trunk.parameters()).add_(1)
    assert [part.path.split(".")[1] for part in removable(changed.backbone, changed.components)] == ["b"]
    weights.unlink()
    for model in (random, gone):
        save(model, tmp_path / "slim.safetensors", slim=True)
        description = read_model_description(tmp_path / "slim.safetensors")
        assert description.left_out == ()
        load(tmp_path / "slim.safetensors", registry, judges=True)


def test_what_half_precision_cannot_hold_stays_whole(made, registry, tmp_path) -> None:
    model = made()
    with torch.no_grad():
        name, parameter = next(model.backbone.generators.named_parameters(prefix="generators"))
        parameter.fill_(1e6)
    save(model, tmp_path / "slim.safetensors", slim=True)
    assert TensorFile(tmp_path / "slim.safetensors")[name].dtype == torch.float32
    assert torch.equal(load(tmp_path / "slim.safetensors", registry).backbone.get_parameter(name), parameter)


def test_reading_the_network_again_draws_no_random_numbers(slim, registry) -> None:
    state = torch.get_rng_state()
    load(slim, registry, judges=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_changed_model_is_written_whole(slim, registry, tmp_path) -> None:
    save(load(slim, registry), tmp_path / "whole.safetensors")
    stored = open_model(slim, registry)
    write(tmp_path / "stored.safetensors", stored.tensors, stored.description.content())
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "stored.safetensors").read_bytes()
    assert read_model_description(tmp_path / "whole.safetensors").left_out == ()


@pytest.mark.parametrize("path", ["generators.a2b", "discriminators.a", "discriminators.a.parts", "nowhere"])
def test_a_description_that_leaves_out_other_parts_is_refused(slim, registry, path) -> None:
    file = TensorFile(slim)
    content = file.content
    content["left_out"][0]["path"] = path
    kept = {name: tensor for name, tensor in file.items() if not name.startswith(f"{path}.")}
    write(slim, kept, content)
    with refused((CheckpointError, WeightsError), slim):
        load(slim, registry, judges=True)


PLUGIN = """
from i2i import Discriminator, Verdict, hookimpl
import torch
from torch import nn

class Looking(Discriminator):
    name = "looking"
    pretrained = ("eye",)

    def __init__(self, config):
        super().__init__(config)
        self.eye, self.head = nn.Conv2d(3, 4, 3, 2, 1).requires_grad_(False), nn.Conv2d(4, 1, 1)

    def prepare(self, pretrained):
        with torch.no_grad():
            for parameter in self.eye.parameters():
                parameter.fill_(0.5)

    def forward(self, x):
        return Verdict([self.head(self.eye(x))])

@hookimpl
def register_discriminators():
    return [Looking]
"""


def test_copies_of_a_pretrained_network_are_stored(install, tmp_path) -> None:
    """A plugin whose branch points include the network gives each group a copy; nothing is lost."""
    install("looking", PLUGIN)
    registry = i2i.Registry()
    given = {"size": 32, "backbone": {"channels": 4}, "generator": {"blocks": 1}, "discriminator": {"name": "looking"}}
    chosen = resolve(given, registry)
    base = Model(chosen, "woman")
    base.prepare(PretrainedNetworks(registry))
    save(base, tmp_path / "base.safetensors", slim=True)
    assert [part.title for part in read_model_description(tmp_path / "base.safetensors").left_out] == ["Conv2d"] * 2
    base.adapt(chosen, ["man"])
    save(base, tmp_path / "groups.safetensors", slim=True)
    assert read_model_description(tmp_path / "groups.safetensors").left_out == ()
    for name in ("base", "groups"):
        judges = load(tmp_path / f"{name}.safetensors", registry, judges=True).backbone.discriminators
        eyes = [one for key, one in judges.state_dict().items() if "eye" in key]
        assert eyes
        assert all(bool((one == 0.5).all()) for one in eyes)
