"""The files of photo2cartoon: what they hold, what is said of their age, and back again."""

from __future__ import annotations

import copy

import pytest
import torch

from i2i import Registry
from i2i.config.options import merge
from i2i.errors import CheckpointError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i_photo2cartoon.checkpoint import OUTDATED, PERHAPS_OUTDATED, Photo2CartoonFile
from tests.wording import refused

FORMAT = Photo2CartoonFile(Registry())
NETWORKS = ["genA2B", "genB2A", "disGA", "disGB", "disLA", "disLB"]


def write(model):
    return FORMAT.write(model.backbone, model.groups)


def model_of(registry, given=None):
    small = {"size": 32, "backbone": {"name": "photo2cartoon", "channels": 4}}
    return Model(resolve(merge(small, given or {}), registry), "all")


def file_of(model):
    files = write(model)
    assert list(files) == ["photo2cartoon_params_latest.pt"]
    return copy.deepcopy(files["photo2cartoon_params_latest.pt"])


@pytest.fixture
def file(registry):
    return file_of(model_of(registry))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"backbone": {"channels": 8}, "discriminator": {"channels": 4, "global_layers": 5, "local_layers": 3}},
        {"backbone": {"light": False}, "size": 48},
    ],
    ids=["light", "widths", "full"],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_options_are_inferred_and_the_round_trip_is_exact(registry, given, prefix):
    file = file_of(model_of(registry, given))
    assert list(file) == NETWORKS
    wrapped = {name: {prefix + key: tensor for key, tensor in state.items()} for name, state in file.items()}
    size = None if "light" in given.get("backbone", {}) else 32
    imported = FORMAT.read({"file": wrapped}, size)
    again = model_of(registry, imported.config)
    again.backbone.load_state_dict(imported.tensors)
    for name, state in file_of(again).items():
        assert state.keys() == file[name].keys()
        assert all(torch.equal(tensor, file[name][key]) for key, tensor in state.items())


def test_a_generator_of_unknown_size_is_taken_for_256_pixels(file):
    assert FORMAT.read({"file": file}, None).config["size"] == 256


def test_a_full_generator_has_one_size(registry):
    file = file_of(model_of(registry, {"backbone": {"light": False}}))
    with refused(CheckpointError, "genA2B", 32, "--size 64"):
        FORMAT.read({"file": file}, 64)


def test_what_the_original_never_calls_is_carried(registry, file):
    key = "HourGlass3.HG.0.ConvBlock7.ConvBlock4.2.weight"
    file["genB2A"][key].normal_()
    imported = FORMAT.read({"file": file}, 32)
    again = model_of(registry, imported.config)
    again.backbone.load_state_dict(imported.tensors)
    assert torch.equal(file_of(again)["genB2A"][key], file["genB2A"][key])


@pytest.mark.parametrize("kept", [["genA2B"], ["genA2B", "genB2A"], ["genA2B", "disGA", "disLA", "disGB"]])
def test_missing_networks_are_left_out(file, kept):
    found = {".".join(k.split(".")[:2]) for k in FORMAT.read({"file": {n: file[n] for n in kept}}, 32).tensors}
    names = {"genA2B": "generators.a2b", "genB2A": "generators.b2a", "disGA": "discriminators.a"}
    assert found == {names[name] for name in kept if name in names}


def test_only_its_own_files_are_recognised(file):
    assert FORMAT.recognises({"file": file})
    assert not FORMAT.recognises({"file": {"genA2B": {"DownBlock.1.weight": torch.zeros(1)}}})
    assert not FORMAT.recognises({"file": {"genA2B": torch.zeros(1)}})
    assert not FORMAT.recognises({"file": {"HourGlass1.Conv1.weight": torch.zeros(1), "gap_fc.weight": torch.zeros(1)}})
    several = {key.replace("gap_fc.", "gap_fc_new."): tensor for key, tensor in file["genA2B"].items()}
    assert not FORMAT.recognises({"file": {"genA2B": several}})


@pytest.mark.parametrize(
    ("network", "key", "named"),
    [
        ("genA2B", "ConvBlock1.1.weight", ("genA2B", "ConvBlock1.1.weight")),
        ("genA2B", "FC.0.weight", ("genA2B", "FC.0.weight")),
        ("genB2A", "HourGlass4.Conv1.bias", ("genB2A", "HourGlass4.Conv1.bias")),
        ("disLB", "model.1.weight_orig", ("disLB", "model.1.weight_orig")),
        ("disGA", "conv.weight_u", ("disGA", "disLA", "G.conv.weight_u")),
    ],
)
def test_a_missing_parameter_is_named(file, network, key, named):
    del file[network][key]
    with refused(CheckpointError, *named):
        FORMAT.read({"file": file}, 32)


def test_a_parameter_of_another_shape_is_named(file):
    file["genA2B"]["gap_fc.weight"] = torch.zeros(2, 16)
    with refused(CheckpointError, "gap_fc.weight", "(2, 16)", "(1, 16)"):
        FORMAT.read({"file": file}, 32)


def test_files_that_trained_all_levels_need_no_warning(file):
    file["genA2B"]["HourGlass2.HG.0.ConvBlock3_1.ConvBlock2.3.weight"][0, 0, 0, 0] = 10
    assert FORMAT.read({"file": file}, 32).notes == ()


def test_files_that_trained_level_1_alone_are_told_to_be_old(file):
    file["genA2B"]["HourGlass2.HG.0.ConvBlock1_2.ConvBlock2.3.weight"][0, 0, 0, 0] = 10
    assert FORMAT.read({"file": file}, 32).notes == (OUTDATED,)


def test_files_that_do_not_tell_their_age_are_warned_of(file):
    assert FORMAT.read({"file": file}, 32).notes == (PERHAPS_OUTDATED,)


def test_training_moves_every_level_away_from_its_start(registry):
    model = model_of(registry)
    optimizer = model.backbone.optimizer([{"params": list(model.backbone.generators.parameters()), "lr": 0.05}])
    for _ in range(2):
        model.backbone.generators["a2b"](torch.rand(1, 3, 32, 32)).image.square().mean().backward()
        optimizer.step()
    assert FORMAT.read({"file": file_of(model)}, 32).notes == ()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"generator": {"name": "resnet"}, "loss": {"cam": 0}}, ("'resnet'", "--generator photo2cartoon")),
        ({"discriminator": {"name": "patch"}}, ("'patch'", "--discriminator ugatit")),
    ],
)
def test_other_networks_cannot_be_written(registry, given, named):
    with refused(CheckpointError, *named):
        write(model_of(registry, given))
