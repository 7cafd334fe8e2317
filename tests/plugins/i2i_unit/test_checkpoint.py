"""The files of UNIT's release: finding, reading and writing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.config.options import merge
from i2i.contracts.domains import DOMAINS
from i2i.errors import CheckpointError, ConfigError
from i2i.exchange.exporting import export_checkpoint
from i2i.exchange.importing import import_checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i_unit.checkpoint import NO_JUDGES, UNITRelease
from tests import shared
from tests.trainings import published_backbone
from tests.wording import refused

FORMAT = UNITRelease(Registry())
Parts = dict[str, dict[str, dict[str, Tensor]]]


def write(model):
    return FORMAT.write(model.backbone, model.groups)


def model_of(registry: Registry, given: dict[str, Any] | None = None) -> Model:
    small = {"size": 32, "backbone": published_backbone(registry, "unit", 2), "generator": {"blocks": 1}}
    return Model(resolve(merge(small, given or {}), registry), "all")


def parts_of(model: Model) -> Parts:
    files = write(model)
    assert list(files) == ["gen_00000000.pt", "dis_00000000.pt"]
    return {name[:3]: {domain: dict(state) for domain, state in content.items()} for name, content in files.items()}


def without(parts: Parts, part: str, domain: str, *keys: str) -> Parts:
    state = {key: tensor for key, tensor in parts[part][domain].items() if key not in keys}
    return {**parts, part: {**parts[part], domain: state}}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"generator": {"blocks": 3}, "discriminator": {"layers": 2}},
        {"backbone": {"channels": 3}, "discriminator": {"scales": 1, "channels": 5}},
    ],
    ids=["one-block", "three-blocks", "one-scale"],
)
def test_options_are_inferred_and_the_round_trip_is_exact(registry: Registry, given: dict[str, Any]) -> None:
    parts = parts_of(model_of(registry, given))
    imported = FORMAT.read(parts, 32)
    assert imported.notes == ()
    again = Model(resolve(imported.config, registry), "all")
    again.backbone.load_state_dict(imported.tensors)
    assert_equal(parts_of(again), parts)


def test_a_published_checkpoint_survives_the_round_trip_to_the_bit(registry: Registry, tmp_path: Path) -> None:
    names = {part: f"unit_{part}_00001000.pt" for part in ("gen", "dis")}
    originals = {part: torch.load(shared.golden(name), weights_only=True) for part, name in names.items()}
    arrival = import_checkpoint(shared.golden(names["gen"]), tmp_path / "run", registry, size=64)
    assert (arrival.format, arrival.notes) == ("unit", ())
    export_checkpoint(arrival.model, "unit", tmp_path / "out", registry)
    files = {part: tmp_path / "out" / f"{part}_00000000.pt" for part in names}
    assert_equal({part: torch.load(file, weights_only=True) for part, file in files.items()}, originals)


def assert_equal(actual: Parts, expected: Parts) -> None:
    assert list(actual) == list(expected)
    for part, states in expected.items():
        assert list(actual[part]) == list(states) == ["a", "b"]
        for domain, state in states.items():
            assert list(actual[part][domain]) == list(state)
            assert all(torch.equal(actual[part][domain][key], tensor) for key, tensor in state.items())


def test_an_auto_encoder_belongs_to_one_domain(registry: Registry) -> None:
    model = model_of(registry)
    gen = parts_of(model)["gen"]
    a2b, b2a = (model.backbone.generators[direction] for direction in ("a2b", "b2a"))
    assert torch.equal(gen["a"]["enc.model.0.conv.weight"], a2b.down[0][0].weight)
    assert torch.equal(gen["a"]["dec.model.5.conv.weight"], b2a.up[2][0].weight)
    assert torch.equal(gen["b"]["enc.model.0.conv.weight"], b2a.down[0][0].weight)
    assert torch.equal(gen["b"]["dec.model.5.conv.weight"], a2b.up[2][0].weight)


def test_missing_discriminators_are_left_out_with_a_note(registry: Registry) -> None:
    imported = FORMAT.read({"gen": parts_of(model_of(registry))["gen"]}, None)
    assert {key.split(".")[0] for key in imported.tensors} == {"generators"}
    assert imported.config["size"] == 256
    assert imported.notes == (NO_JUDGES,)


def test_statistics_of_old_files_and_wrappers_are_dropped(registry: Registry) -> None:
    parts = parts_of(model_of(registry))
    old = {"enc.model.0.norm.running_mean": torch.zeros(2), "enc.model.0.norm.running_var": torch.ones(2)}
    wrapped = {domain: {f"module.{k}": v for k, v in {**s, **old}.items()} for domain, s in parts["gen"].items()}
    assert FORMAT.recognises({"gen": wrapped})
    expected, actual = (FORMAT.read({"gen": gen}, 32).tensors for gen in (parts["gen"], wrapped))
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[key], tensor) for key, tensor in expected.items())


def test_missing_and_foreign_parameters_are_named(registry: Registry) -> None:
    parts = parts_of(model_of(registry))
    cut = without(parts, "gen", "b", "dec.model.2.norm.gamma", "dec.model.5.conv.bias")
    with refused(CheckpointError, "gen b", "dec.model.2.norm.gamma", 1):
        FORMAT.read(cut, 32)
    parts["dis"]["a"]["cnns.0.0.conv.weight_u"] = torch.zeros(1)
    with refused(CheckpointError, "dis a", "cnns.0.0.conv.weight_u"):
        FORMAT.read(parts, 32)


def test_wrong_shapes_are_named(registry: Registry) -> None:
    parts = parts_of(model_of(registry))
    parts["gen"]["b"]["enc.model.1.conv.weight"] = torch.zeros(4, 2, 3, 3)
    with refused(CheckpointError, "gen b", "enc.model.1.conv.weight", "(4, 2, 3, 3)", "(4, 2, 4, 4)"):
        FORMAT.read(parts, 32)


def test_files_that_are_cut_short_are_refused(registry: Registry) -> None:
    parts = parts_of(model_of(registry))
    with refused(CheckpointError, "dis", "'b'"):
        FORMAT.read({**parts, "dis": {"a": parts["dis"]["a"]}}, 32)
    blocks = [key for key in parts["gen"]["a"] if key.startswith("enc.model.3.")]
    with refused(CheckpointError, "gen a", "enc.model.3.model.0.model.0.conv.weight"):
        FORMAT.read(without(parts, "gen", "a", *blocks), 32)
    with refused(CheckpointError, "dis a", "cnns.0.0.conv.weight"):
        FORMAT.read(without(parts, "dis", "a", "cnns.0.0.conv.weight"), 32)


def test_discriminators_too_deep_for_the_size_are_refused(registry: Registry) -> None:
    parts = parts_of(model_of(registry, {"size": 64}))
    with refused(ConfigError, 3, 4, 32, "--size 64"):
        FORMAT.read(parts, 32)


@pytest.mark.parametrize(
    ("names", "asked", "expected"),
    [
        (["gen_00000900.pt", "dis_00000900.pt", "gen_00001000.pt", "dis_00001000.pt"], "", ["gen 1000", "dis 1000"]),
        (["gen_00000900.pt", "dis_00001000.pt", "optimizer.pt"], "", ["gen 900"]),
        (["gen_00000900.pt", "dis_00000900.pt", "gen_00001000.pt"], "gen_00000900.pt", ["gen 900", "dis 900"]),
        (["gen_00000900.pt", "dis_00000900.pt"], "dis_00000900.pt", ["gen 900", "dis 900"]),
        (["x_gen_00000001.pt", "x_dis_00000001.pt", "y_dis_00000001.pt"], "x_gen_00000001.pt", ["gen 1", "dis 1"]),
        (["pretrained.pt", "dis_00000001.pt"], "pretrained.pt", ["gen pretrained"]),
        (["dis_00000001.pt", "optimizer.pt"], "", []),
        (["gen_00000900.pt", "notes.txt"], "notes.txt", []),
    ],
)
def test_files_of_one_step_belong_together(tmp_path: Path, names: list[str], asked: str, expected: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    parts = FORMAT.find(tmp_path / asked)
    ends = {part: path.stem.rpartition("_")[2].lstrip("0") for part, path in parts.items()}
    assert {f"{part} {end}" for part, end in ends.items()} == set(expected)
    assert not any(path.name.startswith("y_") for path in parts.values())


@pytest.mark.parametrize(
    "parts",
    [
        {
            "gen": {
                domain: {"enc_content.model.0.conv.weight": 0, "enc_style.model.0.conv.weight": 0} for domain in "ab"
            }
        },
        {"gen": {"a": {"enc.model.0.conv.weight": 0}}},
        {"gen": {"genA2B": {"DownBlock.1.weight": 0}}},
        {"gen": {"a": torch.zeros(1), "b": torch.zeros(1)}},
        {"gen": {"a": {0: torch.zeros(1)}, "b": {0: torch.zeros(1)}}},
        {"dis": {domain: {"cnns.0.0.conv.weight": 0} for domain in "ab"}},
    ],
    ids=["munit", "one-domain", "ugatit", "tensors", "numbers", "discriminators"],
)
def test_other_files_are_not_recognised(parts: Any) -> None:
    assert not FORMAT.recognises(parts)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"backbone": {"name": "cyclegan"}}, ("UNIT", "'resnet'", "--generator unit")),
        ({"generator": {"shared_blocks": 1}}, ("UNIT", "--generator.shared_blocks 0")),
        ({"generator": {"upsampling": "bilinear"}}, ("UNIT", "--generator.upsampling nearest")),
    ],
    ids=["generator", "shared", "bilinear"],
)
def test_a_model_that_the_release_cannot_store_is_refused(
    registry: Registry, given: dict[str, Any], named: str
) -> None:
    with refused(CheckpointError, *named):
        write(model_of(registry, given))


def test_with_other_discriminators_generators_are_written_and_a_note_says_so(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(registry, {"discriminator": {"name": "patch"}})
    assert write(model).keys() == {"gen_00000000.pt"}
    (note,) = [record.message for record in caplog.records]
    assert note.startswith("note: UNIT")
    assert "--discriminator multiscale" in note


def test_groups_are_refused_but_one_can_be_exported(registry: Registry, tmp_path: Path) -> None:
    model = model_of(registry)
    model.adapt(resolve(merge(_given(model), {"transfer": {"name": "branch"}}), registry), ["man"])
    with refused(CheckpointError, "UNIT", "all", "man", "--group"):
        write(model)
    files = export_checkpoint(model, "unit", tmp_path, registry, group="man")
    assert [file.name for file in files] == ["gen_00000000.pt", "dis_00000000.pt"]
    assert set(torch.load(files[0], weights_only=True)) == set(DOMAINS)


def _given(model: Model) -> dict[str, Any]:
    return model.components.config.model_dump(mode="json", include={"size", "backbone", "generator", "discriminator"})
