"""What the paper's transfer promises: who learns from whom, to the bit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from i2i.config.options import merge
from i2i.contracts.branches import Branches, branch_parameters, has_branches
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.training.step import SIDES, Training
from tests.trainings import training_on

NEW = ("man", "kid")
JUDGES = ["classification", "branched"]
BACKBONES = [{"name": "ugatit"}, {"name": "cyclegan"}]


@pytest.fixture(params=BACKBONES, ids=lambda b: b["name"])
def given(request, tiny):
    return merge(tiny, {"backbone": request.param, "transfer": {"name": "branch"}})


def adapted(given, registry, judge="branched", **options) -> Model:
    torch.manual_seed(0)
    chosen = resolve(_with_transfer(given, judge=judge, **options), registry)
    return Model(chosen, "woman", NEW)


def training(model: Model, given, registry) -> Training:
    return training_on(resolve_data(given, registry).build(), model)


def only(training: Training, groups: tuple[str, ...]) -> Training:
    """Let every step draw one sub-batch of these groups."""
    training.transfer.draw = lambda batch_size, rng: [groups]
    return training


@pytest.mark.parametrize("judge", JUDGES)
def test_right_after_adapt_every_group_is_translated_as_the_base_bit_for_bit(given, registry, judge):
    torch.manual_seed(0)
    model = Model(resolve(given, registry), "woman")
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    before = {direction: model.translate(x, direction=direction) for direction in ("a2b", "b2a")}
    model.adapt(resolve(_with_transfer(given, judge=judge), registry), NEW)
    for direction, expected in before.items():
        for group in ("woman", *NEW):
            assert torch.equal(model.translate(x, group, direction), expected)


def test_a_model_of_one_group_has_no_branches(given, registry):
    model = Model(resolve(given, registry), "woman")
    assert not has_branches(model.backbone)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("group", NEW)
def test_few_shot_samples_update_only_their_own_branch(given, registry, judge, group):
    model = adapted(given, registry, judge)
    steps = only(training(model, given, registry), (group, group))
    before = _values(model.backbone.generators)
    steps.step()
    own = {id(p) for p in branch_parameters(model.backbone.generators, [group])}
    assert own
    for name, parameter in model.backbone.generators.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in own), name
    touched = {id(p) for p in steps.optimizers["generator"].state}
    assert touched == own, "Adam keeps a state only for what it updated"


@pytest.mark.parametrize("group", NEW)
def test_branched_discriminators_learn_from_their_own_group_alone(given, registry, group):
    model = adapted(given, registry, "branched")
    steps = only(training(model, given, registry), (group,))
    before = _values(model.backbone.discriminators)
    steps.step()
    own = {id(p) for p in branch_parameters(model.backbone.discriminators, [group])}
    for name, parameter in model.backbone.discriminators.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in own), name


def test_shared_discriminators_learn_from_every_group(given, registry):
    model = adapted(given, registry, "classification")
    before = _values(model.backbone.discriminators)
    only(training(model, given, registry), ("man",)).step()
    changed = [n for n, p in model.backbone.discriminators.named_parameters() if not torch.equal(p, before[n])]
    assert any("heads" in name for name in changed)
    assert any("judge" in name for name in changed)


@pytest.mark.parametrize("judge", JUDGES)
def test_base_samples_leave_the_new_branches_alone_and_update_the_rest(given, registry, judge):
    model = adapted(given, registry, judge)
    steps = only(training(model, given, registry), ("woman", "woman"))
    before = _values(model.backbone.generators)
    steps.step()
    new = {id(p) for p in branch_parameters(model.backbone.generators, NEW)}
    kept = {name for name, p in model.backbone.generators.named_parameters() if torch.equal(p, before[name])}
    assert {name for name, p in model.backbone.generators.named_parameters() if id(p) in new} <= kept
    trunk = {name for name, p in model.backbone.generators.named_parameters() if id(p) not in new}
    assert len(trunk & kept) < len(trunk) / 2


def test_a_second_few_shot_step_leaves_the_adam_state_of_the_trunk_as_it_was(given, registry):
    model = adapted(given, registry)
    steps = training(model, given, registry)
    steps.step()
    optimizer, own = (
        steps.optimizers["generator"],
        {id(p) for p in branch_parameters(model.backbone.generators, ["man"])},
    )
    before = {id(p): copy.deepcopy(state) for p, state in optimizer.state.items()}
    only(steps, ("man",)).step()
    for parameter, state in optimizer.state.items():
        same = all(torch.equal(value, before[id(parameter)][key]) for key, value in state.items())
        assert same == (id(parameter) not in own)


@pytest.mark.parametrize("groups", [("man", "kid"), ("kid", "man", "kid"), ("kid", "kid", "man", "man")])
def test_gradients_of_a_mixed_batch_equal_those_of_each_group_alone(given, registry, groups):
    model = adapted(given, registry)
    model.backbone.double()
    _scatter(model)
    steps = training(model, given, registry)
    model.backbone.eval()  # power iteration counts calls, which differ here by design
    batch = _double(steps.loader.batch(groups))
    passes = model.backbone.passes(batch, steps._needs, ("woman", *NEW))
    steps._backward("generator", passes)
    actual = {n: p.grad for n, p in model.backbone.generators.named_parameters() if p.grad is not None}
    expected = _plain_gradients(model, steps, batch, groups)
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("options", "batch_size", "samples"), [({}, 1, 1), ({}, 4, 2), ({"samples": 3}, 1, 3)])
def test_draw_takes_alike_of_the_base_and_of_every_new_group(given, registry, options, batch_size, samples):
    drawn = adapted(given, registry, **options).transfer.draw(batch_size, np.random.default_rng(0))
    assert drawn[0] == ("woman",) * samples
    assert sorted(drawn[1]) == ["kid"] * samples + ["man"] * samples


@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_new_branches_have_their_own_learning_rate(given, registry, factor):
    model = adapted(given, registry, branch_lr=10.0, lr=factor)
    steps = training(model, given, registry)
    lr = factor * model.backbone.config.lr
    for side in SIDES:
        shared, own = steps.optimizers[side].param_groups
        assert (shared["lr"], own["lr"]) == (lr, 10 * lr)
        wanted = branch_parameters(model.backbone.networks(side), NEW)
        assert {id(p) for p in own["params"]} == {id(p) for p in wanted}


def test_new_groups_count_alike_however_many_samples_each_has(registry):
    from i2i.contracts.transfer import group_mean

    losses = {"one": torch.tensor([1.0, 3.0, 10.0]), "other": torch.tensor([0.0, 0.0, 2.0])}
    assert group_mean(losses, ("man", "man", "kid")).item() == pytest.approx((2.0 + 12.0) / 2)


def _with_transfer(given, **options):
    return merge(given, {"transfer": options})


def _values(networks):
    return {name: p.detach().clone() for name, p in networks.named_parameters()}


def _scatter(model):
    """Make branches differ, so that a sample in a wrong branch shows."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn_like(parameter)


def _double(batch):
    from i2i.contracts.domains import Batch

    return Batch({domain: x.double() for domain, x in batch.real.items()}, batch.groups)


def _plain_gradients(model, steps, batch, groups):
    """Compute each group's gradients with an unbranched model that holds that group's layers."""
    from i2i.contracts.domains import Batch

    gradients = {}
    for group in dict.fromkeys(groups):
        plain, names = _unbranched(model, group)
        index = [i for i, g in enumerate(groups) if g == group]
        alone = Batch({domain: x[index] for domain, x in batch.real.items()}, (group,) * len(index))
        passes = plain.passes(alone, steps._needs, ())
        plain.judge(passes, "generator")
        terms = {n: loss.generator(passes) for n, loss in steps.losses.items()}
        total = sum(steps.losses[n].config.weight * t.mean() for n, t in terms.items() if t is not None)
        parameters = dict(plain.generators.named_parameters())
        (total / len(set(groups))).backward()
        gradients |= {names[n]: p.grad for n, p in parameters.items() if n in names and p.grad is not None}
    return gradients


def _unbranched(model, group):
    """Return a copy of the model with ``group``'s branches put in place, and its branched parameters' own names."""
    plain = copy.deepcopy(model.backbone)
    names = {}
    for networks in (plain.generators, plain.discriminators):
        for path, module in list(networks.named_modules()):
            if isinstance(module, Branches):
                networks.set_submodule(path, module.branches[group])
                own = module.branches[group].named_parameters()
                if networks is plain.generators:
                    names |= {f"{path}.{n}": f"{path}.branches.{group}.{n}" for n, _ in own}
    return plain, names
