"""The files of pytorch-CycleGAN-and-pix2pix: which belong together, what they hold, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.config.options import merge
from i2i.errors import CheckpointError
from i2i.exchange.exporting import export_checkpoint
from i2i.exchange.importing import import_checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i_cyclegan.checkpoint import PytorchCycleGAN
from i2i_cyclegan.discriminators import PatchDiscriminator, PixelDiscriminator
from i2i_cyclegan.networks import ResnetGenerator, UnetGenerator
from tests.shared import published_keys
from tests.trainings import published_backbone
from tests.wording import refused

FORMAT = PytorchCycleGAN(Registry())
ALL = {"G_A", "G_B", "D_A", "D_B"}


def model_of(registry: Registry, given: dict[str, Any]) -> Model:
    small = {"size": 32, "backbone": published_backbone(registry, "cyclegan", 2)}
    return Model(resolve(merge(small, given), registry), "all")


def parts_of(model: Model) -> dict[str, dict[str, Tensor]]:
    files = FORMAT.write(model.backbone, model.groups)
    assert set(files) == {f"latest_net_{name}.pth" for name in ALL}
    return {name: dict(files[f"latest_net_{name}.pth"]) for name in ALL}


@pytest.mark.parametrize(
    ("name", "make", "parameters"),
    [
        ("resnet6", lambda: ResnetGenerator(ResnetGenerator.Config(blocks=6)), 7_837_699),
        ("resnet9", lambda: ResnetGenerator(ResnetGenerator.Config(blocks=9)), 11_378_179),
        ("unet256", lambda: UnetGenerator(UnetGenerator.Config(size=256)), 54_409_603),
        ("patchgan", lambda: PatchDiscriminator(PatchDiscriminator.Config(size=256)), 2_764_737),
    ],
)
def test_published_names_shapes_and_counts(name: str, make: Any, parameters: int) -> None:
    with torch.device("meta"):
        network = make()
    state = network.state_dict()
    shapes = {theirs: tuple(state[ours].shape) for ours, theirs in network.published_keys().items()}
    assert sum(value.numel() for value in state.values()) == parameters
    assert shapes == published_keys(f"cyclegan_{name}.txt")


@pytest.mark.parametrize(
    "given",
    [
        {"generator": {"blocks": 1}},
        {"generator": {"blocks": 3}, "discriminator": {"layers": 2}},
        {"generator": {"name": "unet", "depth": 4}, "discriminator": {"name": "pixel"}},
    ],
    ids=["resnet-1", "resnet-3", "unet"],
)
def test_options_are_inferred_and_the_round_trip_is_exact(registry: Registry, given: dict[str, Any]) -> None:
    model = model_of(registry, given)
    imported = FORMAT.read(parts_of(model), 32)
    again = model_of(registry, imported.config)
    again.backbone.load_state_dict(imported.tensors)
    for name, state in parts_of(again).items():
        expected = parts_of(model)[name]
        assert list(state) == list(expected)
        assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())


def test_dropout_shifts_the_second_convolution_of_a_block(registry: Registry) -> None:
    parts = parts_of(model_of(registry, {"generator": {"blocks": 2}}))
    shifted = {key.replace("conv_block.5", "conv_block.6"): value for key, value in parts["G_A"].items()}
    expected, actual = (FORMAT.read({"G_A": state}, 32).tensors for state in (parts["G_A"], shifted))
    assert all(torch.equal(actual[key], value) for key, value in expected.items())


def test_statistics_of_old_files_are_dropped(registry: Registry) -> None:
    state = parts_of(model_of(registry, {"generator": {"blocks": 1}}))["G_A"]
    old = {**state, "model.2.running_mean": torch.zeros(2), "model.2.num_batches_tracked": torch.tensor(3)}
    assert FORMAT.read({"G_A": old}, 32).tensors.keys() == FORMAT.read({"G_A": state}, 32).tensors.keys()


def test_a_missing_network_is_left_out(registry: Registry) -> None:
    parts = parts_of(model_of(registry, {"generator": {"blocks": 1}}))
    tensors = FORMAT.read({"G_A": parts["G_A"]}, None).tensors
    assert {key.split(".")[1] for key in tensors} == {"a2b"}


def test_a_missing_or_foreign_parameter_is_named(registry: Registry) -> None:
    state = parts_of(model_of(registry, {"generator": {"blocks": 2}}))["G_A"]
    cut = {key: tensor for key, tensor in state.items() if key != "model.19.weight"}
    with refused(CheckpointError, "G_A", "model.19.weight"):
        FORMAT.read({"G_A": cut}, 32)
    wrong = {**state, "model.4.weight": torch.zeros(4, 3, 3, 3)}
    with refused(CheckpointError, "G_A", "model.4.weight", "(4, 3, 3, 3)", "(4, 2, 3, 3)"):
        FORMAT.read({"G_A": wrong}, 32)


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["latest_net_G_A.pth", "latest_net_D_B.pth", "20_net_G_A.pth"], "", {"G_A": "latest", "D_B": "latest"}),
        (["5_net_G_A.pth", "20_net_G_A.pth"], "", {"G_A": "20"}),
        (["5_net_G_A.pth", "5_net_G_B.pth", "20_net_G_A.pth"], "5_net_G_B.pth", {"G_A": "5", "G_B": "5"}),
        (["latest_net_G.pth"], "latest_net_G.pth", {"G_A": "latest"}),
        (["other.pth", "latest_net_G_A.pth"], "other.pth", {"G_A": "other.pth"}),  # its content decides
        (["netG_B2A.PTH"], "netG_B2A.PTH", {"G_B": "netG_B2A.PTH"}),
        (["other.txt", "latest_net_G_A.pth"], "other.txt", {}),
        (["model.pt"], "", {}),
    ],
)
def test_files_of_one_epoch_belong_together(
    tmp_path: Path, names: list[str], asked: str, found: dict[str, str]
) -> None:
    for name in names:
        (tmp_path / name).touch()
    parts = FORMAT.find(tmp_path / asked)
    assert {part: path.name.split("_net_")[0] for part, path in parts.items()} == found


@pytest.mark.parametrize(
    ("generator", "named"),
    [
        ({"name": "ugatit"}, ["'ugatit'", "--generator resnet"]),
        ({"upsampling": "nearest"}, ["--generator.upsampling transposed"]),
    ],
    ids=["ugatit", "nearest"],
)
def test_other_generators_cannot_be_written(registry: Registry, generator: dict[str, str], named: list[str]) -> None:
    model = model_of(registry, {"generator": generator})
    with refused(CheckpointError, *named):
        FORMAT.write(model.backbone, model.groups)


@pytest.mark.parametrize(
    "judge",
    [{"name": "ugatit"}, {"name": "patch+patch/2"}, {"name": "patch", "minibatch_std": True}],
    ids=["ugatit", "joined", "spread"],
)
def test_with_other_discriminators_generators_are_written_and_a_note_says_so(
    registry: Registry, judge: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(registry, {"discriminator": judge})
    files = export_checkpoint(model, FORMAT.name, tmp_path / "theirs", registry)
    assert [file.name for file in files] == ["latest_net_G_A.pth", "latest_net_G_B.pth"]
    (note,) = [record.message for record in caplog.records]
    assert note.startswith("note: pytorch-CycleGAN-and-pix2pix")
    assert "--discriminator patch" in note
    arrival = import_checkpoint(tmp_path / "theirs", tmp_path / "run", registry, size=32)
    read, written = arrival.model.backbone.generators.state_dict(), model.backbone.generators.state_dict()
    assert all(torch.equal(read[key], tensor) for key, tensor in written.items())


def test_what_is_no_generator_is_not_recognised() -> None:
    assert not FORMAT.recognises({"G_A": {"DownBlock.1.weight": torch.zeros(1)}})
    assert not FORMAT.recognises({"D_A": {"model.0.weight": torch.zeros(1)}})


def test_pixel_discriminator_has_its_published_names() -> None:
    network = PixelDiscriminator(PixelDiscriminator.Config(channels=64))
    shapes = {theirs: tuple(network.state_dict()[ours].shape) for ours, theirs in network.published_keys().items()}
    assert shapes == {
        "net.0.weight": (64, 3, 1, 1), "net.0.bias": (64,), "net.2.weight": (128, 64, 1, 1), "net.2.bias": (128,),
        "net.5.weight": (1, 128, 1, 1), "net.5.bias": (1,),
    }  # fmt: skip
