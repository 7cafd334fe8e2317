"""What every transfer promises: who learns from whom, how it starts, and that it serves any number of groups."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from i2i.assemble import choose, choose_data
from i2i.config import merge
from i2i.engine import Engine, seed_everything
from i2i.loader import Loader
from i2i.model import Model
from i2i.train import SIDES, Training

TRANSFERS = ["branch", "branch-free", "mixed", "joint", "finetune", "freeze-d", "adapter"]
BASE, NEW = "woman", ("man", "kid")
# Who changes, in generators and discriminators: the trunk, or a group's own, on a base sample and on one of "man".
CASES = {
    "branch": ({"cam_groups": "base"}, ["trunk woman", "woman"], ["man", "man"]),
    "branch, cam of all": ({"cam_groups": "all"}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "branch, cam a group": ({"cam": "group", "cam_groups": "all"}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "branch, frozen": ({"freeze_shared": True, "cam_groups": "all"}, ["woman", "woman"], ["man", "man"]),
    "branch, released": ({"updates": "released", "cam_groups": "base"}, ["trunk woman", "woman"], ["man", "man"]),
    "branch, one layer": ({"judge_depth": 1, "cam_groups": "base"}, ["trunk woman", "trunk woman"], ["man", "man"]),
    "branch, head": ({"judge": "classification", "cam_groups": "base"}, ["trunk woman", "trunk"], ["man", "trunk"]),
    "branch, projection": (
        {"judge": "projection", "cam_groups": "base"}, ["trunk woman", "trunk woman"], ["man", "trunk man"]
    ),
    "branch, both": (
        {"judge": "branched+classification", "cam_groups": "base"},
        ["trunk woman", "trunk woman"], ["man", "trunk man"],
    ),
    "branch-free": ({}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "mixed": ({}, ["trunk", "trunk"], ["trunk", "trunk"]),
    "joint": ({}, ["trunk", "trunk"], ["trunk", "trunk"]),
    "finetune": ({}, ["woman", "woman"], ["man", "man"]),
    "freeze-d": ({}, ["woman", "woman"], ["man", "man"]),
    "adapter": ({}, ["woman", "woman"], ["man", "man"]),
    "adapter, no branches": ({"branches": False}, ["", "woman"], ["man", "man"]),
    "adapter, trunk": ({"freeze_shared": False}, ["trunk woman", "woman"], ["man", "man"]),
}  # fmt: skip


def owner(name: str) -> str:
    found = re.search(r"branches\.(\w+)\.", name)
    return found[1] if found else "trunk"


def owners(names) -> set[str]:
    return {owner(name) for name in names}


@pytest.mark.parametrize("group", ["woman", "man"])
@pytest.mark.parametrize("case", CASES)
def test_a_sample_changes_what_it_may_and_nothing_else_by_a_bit(prepare, case, group):
    options, *expected = CASES[case]
    training: Training = prepare(case.partition(",")[0], **options)
    training.transfer.draw = lambda batch_size, rng: [(group,)]
    expected = dict(zip(("generator", "discriminator"), expected[group == "man"], strict=True))
    before = {name: p.detach().clone() for name, p in training.backbone.named_parameters()}
    training.step()
    for side in SIDES:
        own = dict(training.networks(side).named_parameters())
        changed = {name for name, p in own.items() if not torch.equal(p, before[f"{side}s.{name}"])}
        assert owners(changed) == set(expected[side].split()), side
        moved = [name for name, p in own.items() if p in training.optimizers[side].state]
        assert owners(moved) == set(expected[side].split()), "Adam keeps a state only for what it updated"
        assert len(changed) >= sum(owner(name) in expected[side].split() for name in own) / 2


@pytest.mark.parametrize("backbone", ["ugatit", "unit"])
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_right_after_adapt_every_group_is_translated_as_the_base_bit_for_bit(registry, transfer, backbone):
    seed_everything(0)
    given = {"size": 32, "backbone": {"name": backbone, "channels": 4}, "generator": {"blocks": 1}}
    if backbone == "unit":
        given["generator"]["shared_blocks"] = 1
    model = Model(choose(given, registry), BASE)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = {direction: model.translate(x, direction=direction) for direction in ("a2b", "b2a")}
    model.adapt(choose(merge(given, {"transfer": {"name": transfer}}), registry), NEW)
    for direction, images in expected.items():
        assert all(torch.equal(model.translate(x, group, direction), images) for group in (BASE, *NEW))


@pytest.mark.parametrize(("transfer", "count"), [("branch", 4), *((transfer, 12) for transfer in TRANSFERS)])
def test_any_number_of_groups(prepare, transfer, count):
    training = prepare(transfer, tuple(f"group{number}" for number in range(1, count)))
    assert np.isfinite(list(training.step().values())).all()
    assert set().union(*training._draw()) >= set(training.transfer.groups)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_bf16(prepare, transfer):
    training = prepare(transfer, precision="bf16")
    assert np.isfinite(list(training.step().values())).all()
    assert all(p.dtype == torch.float32 for p in training.backbone.parameters())


@pytest.mark.parametrize(
    ("transfer", "options"),
    [("branch", {"updates": "released", "judge": "classification", "cam_groups": "all"}), ("adapter", {})],
)
def test_resuming_goes_on_with_the_same_bytes(prepare, transfer, options):
    whole = prepare(transfer, **options)
    seed_everything(1)
    for _ in range(2):
        whole.step()
    first, second = prepare(transfer, **options), prepare(transfer, **options)
    seed_everything(1)
    first.step()
    state, progress = first.state(), first.progress()
    second.backbone.load_state_dict({name: tensor.clone() for name, tensor in first.backbone.state_dict().items()})
    seed_everything(9)
    second.restore(state, progress)
    second.step()
    actual = second.backbone.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in whole.backbone.state_dict().items())


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_group_with_one_image(tiny, registry, transfer):
    """The folder's group 'kid' has a single target image, which every step draws anew."""
    dataset = choose_data(tiny, registry).build()
    assert len(dataset.train("kid", "b")) == 1
    chosen = choose(merge(tiny, {"transfer": {"name": transfer, "samples": 2}}), registry)
    model = Model(chosen, BASE, ["kid"])
    losses, loader = chosen.build_losses(model.transfer.provides), Loader(dataset, 32, 0)
    training = Training(
        model.backbone, model.transfer, losses, loader, Engine("cpu"), steps=2, batch_size=2, seed=0
    )  # fmt: skip
    assert np.isfinite(list(training.step().values())).all()
    assert loader.positions["kid/b"] == 2
