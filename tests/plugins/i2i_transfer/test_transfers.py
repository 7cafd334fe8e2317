"""What every transfer promises: who learns from whom, how it starts, and that it serves any number of groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.training.step import Training
from tests.plugins.i2i_transfer.routing import BASE, CASES, NEW, changes, expected, owner, owners, snapshot
from tests.sampling import alternated
from tests.trainings import training_on
from tests.wording import refused

TRANSFERS = ["branch", "branch-free", "mixed", "joint", "finetune", "freeze-d", "adapter"]
HOW = [{"accumulate": 2}, {"precision": "bf16"}]


@pytest.mark.parametrize("group", ["woman", "man"])
@pytest.mark.parametrize("case", CASES)
def test_a_sample_changes_what_it_may_and_nothing_else_by_a_bit(prepare, case, group):
    training: Training = prepare(case.partition(",")[0], **CASES[case][0])
    training.transfer.draw = lambda batch_size, rng: [(group,)]
    before = snapshot(training)
    training.step()
    check(training, before, expected(case, group))


@pytest.mark.parametrize(("name", "how"), alternated([name for name in CASES if "," not in name], HOW))
def test_so_it_does_in_sub_steps_and_in_bf16_and_the_average_follows(prepare, name, how):
    training: Training = prepare(name, ema=0.9, **CASES[name][0], **how)
    start = snapshot(training)
    for group in ("woman", "man"):
        training.transfer.draw = lambda batch_size, rng, group=group: [(group,)]
        before = snapshot(training)
        training.optimizers = {side: training._optimizer(side) for side in training.optimizers}
        training.step()
        check(training, before, expected(name, group))
    changed = changes(training, start)
    learned = {name.removeprefix("generators.") for name in changed if name.startswith("generators.")}
    assert {name.removeprefix("average.") for name in changed if name.startswith("average.")} == learned


@pytest.mark.parametrize("name", TRANSFERS)
def test_every_transfer_has_a_factor_on_the_learning_rate_of_the_base_stage(prepare, name):
    training: Training = prepare(name, lr=0.25)
    rate = training.backbone.config.lr
    for optimizer in training.optimizers.values():
        assert optimizer.param_groups[0]["lr"] == 0.25 * rate


@pytest.mark.parametrize("options", [
    {"lr": 0.5}, {"crop_margin": 1}, {"lr": 2, "crop_margin": 1.2}, {"loss": {"cycle": 1}},
])  # fmt: skip
def test_options_of_steps_are_refused_without_steps(registry, options):
    with refused(ConfigError, "--transfer none", *(f"--transfer.{name}" for name in options)):
        resolve({"transfer": {"name": "none", **options}}, registry)


def check(training, before, expected):
    """Compare whose weights have changed since a snapshot, and what Adam keeps a state for, with whose should."""
    changed = changes(training, before)
    for side, whose in expected.items():
        own = dict(training.networks(side).named_parameters())
        found = [name for name in own if f"{side}s.{name}" in changed]
        assert owners(found) == whose, side
        moved = [name for name, p in own.items() if p in training.optimizers[side].state]
        assert owners(moved) == whose, "Adam keeps a state only for what it updated"
        assert len(found) >= sum(owner(name) in whose for name in own) / 2


def test_without_a_transfer_only_the_base_is_drawn(prepare):
    assert set().union(*prepare("none")._draw()) == {BASE}


@pytest.mark.parametrize(("transfer", "backbone"), alternated(TRANSFERS, ["ugatit", "unit"]))
def test_right_after_adapt_every_group_is_translated_as_the_base_bit_for_bit(registry, transfer, backbone):
    seed_everything(0)
    given = {"size": 32, "backbone": {"name": backbone, "channels": 4}, "generator": {"blocks": 1}}
    if backbone == "unit":
        given["generator"]["shared_blocks"] = 1
    model = Model(resolve(given, registry), BASE)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = {direction: model.translate(x, direction=direction) for direction in ("a2b", "b2a")}
    model.adapt(resolve(merge(given, {"transfer": {"name": transfer}}), registry), NEW)
    for direction, images in expected.items():
        assert all(torch.equal(model.translate(x, group, direction), images) for group in (BASE, *NEW))


@pytest.mark.parametrize(
    ("transfer", "count"),
    [
        ("branch", 12),
        *((transfer, 5) for transfer in TRANSFERS),
        *(pytest.param(transfer, 12, marks=pytest.mark.full) for transfer in TRANSFERS if transfer != "branch"),
    ],
)
def test_any_number_of_groups(prepare, transfer, count):
    training = prepare(transfer, tuple(f"group{number}" for number in range(1, count)))
    assert np.isfinite(list(training.step().values())).all()
    drawn = set()
    for training.done in range(99 if transfer == "mixed" else 1):  # mixed draws groups at random
        drawn |= set().union(*training._draw())
    assert drawn >= set(training.transfer.groups)


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
    dataset = resolve_data(tiny, registry).build()
    assert len(dataset.train("kid", "b")) == 1
    chosen = resolve(merge(tiny, {"transfer": {"name": transfer, "samples": 2}}), registry)
    training = training_on(dataset, Model(chosen, BASE, ["kid"]), steps=2)
    if transfer == "mixed":  # whose draws are random
        training.transfer.draw = lambda batch_size, rng: [(BASE, "kid", "kid")]
    assert np.isfinite(list(training.step().values())).all()
    assert training.loader.positions["kid/b"] == 2
