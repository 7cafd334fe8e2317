"""Runs that no machine holds are refused before anything is allocated."""

from __future__ import annotations

import pytest
import torch

from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.models.size import ModelSize
from i2i.runs import footprint
from i2i.runs.checks import Outlines
from i2i.runs.footprint import check_memory
from i2i.runs.run import create_run
from i2i.runs.setup import check_setup
from tests.wording import refused

CPU = torch.device("cpu")
MEMORY = 2**34


@pytest.fixture
def check(registry, tiny, monkeypatch):
    """Check a tiny run with a few other options, on a machine of 16 GiB, and data of ``groups`` groups."""
    monkeypatch.setattr(footprint, "machine_memory", lambda device: MEMORY)

    def call(groups=3, **options):
        chosen = resolve({**{k: v for k, v in tiny.items() if k != "data"}, **options}, registry)
        dataset = resolve_data({"data": tiny["data"]}, registry).build()
        dataset.groups = ("woman", *(f"g{n}" for n in range(groups - 1)))
        check_memory(Outlines(chosen), dataset, CPU)

    return call


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch_size": 10**9}, ("--batch-size (1000000000)", "1,000,000,000 images", "16.0 GiB")),
        ({"accumulate": 10**20}, ("--accumulate (100000000000000000000)", "16.0 GiB")),
        ({"size": 2**30}, ("--size (1073741824)",)),
        ({"batch_size": 200_000}, ("--batch-size (200000)", "activations")),
        ({"transfer": {"name": "adapter", "rank": 10**12}}, ("--transfer.rank (1000000000000)",)),
    ],
)
def test_options_out_of_this_world(check, options, named):
    check()
    with refused(ConfigError, *named, varies=r"this machine has [\d.]+ \w+"):
        check(**options)


def test_thousands_of_groups(check):
    check(2000, transfer={"name": "none"})
    with refused(ConfigError, "2999 new groups", "parameters"):
        check(3000, transfer={"name": "finetune"}, backbone={"channels": 32})


def test_muon_keeps_one_moment_of_each_parameter_where_adam_keeps_two(check):
    options = {"memory": "low", "transfer": {"name": "finetune"}, "backbone": {"channels": 32}}
    with refused(ConfigError, "599 new groups", "parameters"):
        check(600, **options)
    check(600, **options | {"backbone": {"channels": 32, "optimizer": "muon"}})


def test_each_group_adds_the_same_number_of_parameters(registry, tiny):
    groups = ["a", "b", "c", "d", "e"]
    for transfer in ("branch", "finetune", "joint", "adapter"):
        chosen = resolve({**{k: v for k, v in tiny.items() if k != "data"}, "transfer": {"name": transfer}}, registry)
        actual = footprint._parameters(Outlines(chosen), "woman", groups)
        assert actual == ModelSize.of(Model(chosen, "woman", groups).backbone).total


def test_the_bound_is_below_what_a_step_keeps(registry, tiny):
    chosen = resolve({k: v for k, v in tiny.items() if k != "data"}, registry)
    model = Model(chosen, "woman")
    x, kept = torch.zeros(2, 3, 32, 32), 0
    for direction in ("a2b", "b2a"):
        kept += footprint._kept(model.backbone.generators[direction].train(), x)
    outlined = footprint._activations(Outlines(chosen).of("woman"), 2)
    assert outlined == kept
    assert outlined > 2 * x.numel() * 4


def test_nothing_is_written_for_a_refused_run(registry, tiny, out_folder):
    with refused(ConfigError, "--batch-size", varies=r"this device has [\d.]+ \w+"):
        create_run(out_folder, {**tiny, "batch_size": 10**9}, registry)
    assert not out_folder.exists()


@pytest.fixture
def out_folder(tmp_path):
    return tmp_path / "out"


def test_a_setup_that_fits_passes(registry, tiny):
    setup, engine = check_setup(tiny, registry)
    assert (setup.config.size, engine.device.type) == (32, "cpu")
