from __future__ import annotations

import pytest
import torch

from i2i.compute.engine import Engine
from i2i.compute.randomness import random_state, seed_everything, set_random_state
from i2i.config.options import merge
from i2i.contracts.transfer import Route
from i2i.errors import CheckpointError, PluginError, TrainingError
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.training.step import SIDES, Progress, Training
from tests.trainings import training_on
from tests.wording import refused


@pytest.fixture(params=["ugatit", "cyclegan"])
def training(request, tiny, registry):
    return base_training(merge(tiny, {"backbone": {"name": request.param}}), registry)


def base_training(given, registry, steps=10) -> Training:
    seed_everything(0)
    chosen = resolve(given, registry)
    data = resolve_data(given, registry).build()
    return training_on(data, Model(chosen, data.base), steps=steps)


@pytest.mark.parametrize("side", SIDES)
def test_the_losses_of_a_side_send_no_gradient_into_the_other(training, side):
    passes = training._generate(("woman", "woman"))
    training._backward(side, passes)
    own, other = (training.backbone.networks(s) for s in (side, next(s for s in SIDES if s != side)))
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in own.parameters())
    assert all(p.grad is None for p in other.parameters())


def test_the_discriminators_judgement_carries_no_graph_into_the_generators(training):
    passes = training._generate(("woman",))
    training.backbone.judge(passes, "discriminator")
    total = sum(term.sum() for loss in training.losses.values() if (term := loss.discriminator(passes)) is not None)
    grads = torch.autograd.grad(total, list(training.backbone.generators.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in grads)


def test_translations_are_generated_once_a_step(training, monkeypatch):
    calls = []
    for direction, generator in training.backbone.generators.items():
        generator.register_forward_hook(lambda module, inputs, output, d=direction: calls.append((d, len(inputs[0]))))
    training.step()
    assert sorted(calls) == [("a2b", 2), ("a2b", 4), ("b2a", 2), ("b2a", 4)]  # cycle; translate and identity together


def test_a_pass_that_no_loss_needs_is_never_computed(tiny, registry):
    given = merge(tiny, {"loss": {"identity": 0, "cycle": 0, "cam": 0}})
    training = base_training(given, registry)
    passes = training._generate(("woman",))
    assert set(training.losses) == {"adversarial"}
    assert (passes.identity, passes.cycled) == ({}, {})


def test_a_step_reports_unweighted_losses_of_both_sides(training):
    report = training.step()
    assert {"generator/cycle", "generator/identity", "generator/adversarial", "discriminator/adversarial"} <= set(
        report
    )
    assert all(0 < value < 10 for value in report.values())


def test_rho_stays_in_range(tiny, registry):
    training = base_training(merge(tiny, {"backbone": {"lr": 0.5}}), registry)
    training.step()
    rhos = [p for name, p in training.backbone.generators.named_parameters() if name.endswith("rho")]
    assert rhos
    assert all(rho.min() >= 0 and rho.max() <= 1 for rho in rhos)


def test_learning_rates_fall_linearly_over_the_second_half(tiny, registry):
    training = base_training(tiny, registry, steps=4)
    factors = [training.backbone.lr_factor(step, 4) for step in range(4)]
    assert factors == [1.0, 1.0, 1.0, 0.5]
    training.done = 3
    training._set_learning_rates()
    lr = training.backbone.config.lr
    assert [group["lr"] for o in training.optimizers.values() for group in o.param_groups] == [lr / 2] * 2


def test_a_loss_that_is_not_finite_stops_training(training):
    with torch.no_grad():
        next(training.backbone.generators.parameters()).fill_(float("nan"))
    with refused(TrainingError, "Step 1", "nan"):
        training.step()


def test_a_loss_of_the_wrong_shape_is_named(training):
    class Column(type(training.losses["cycle"])):
        def generator(self, passes):
            return super().generator(passes)[:, None]

    training.losses["cycle"] = Column(Column.Config())
    with refused(PluginError, "cycle", "(2, 1)", 2):
        training.step()


def test_a_loss_of_whole_numbers_is_named(training):
    class Signs(type(training.losses["cycle"])):
        def generator(self, passes):
            return super().generator(passes) > 0

    training.losses["cycle"] = Signs(Signs.Config())
    with refused(PluginError, "cycle", "bool", "real number"):
        training.step()


def test_restoring_goes_on_with_the_same_bytes(tiny, registry):
    given = merge(tiny, {"backbone": {"name": "cyclegan", "pool_size": 3}})
    whole, first, second = (base_training(given, registry) for _ in range(3))
    seed_everything(0)
    for _ in range(5):
        whole.step()
    seed_everything(0)
    for _ in range(2):
        first.step()
    state, progress = first.state(), first.progress()
    weights = {k: v.clone() for k, v in first.backbone.state_dict().items()}
    seed_everything(99)
    second.backbone.load_state_dict(weights)
    second.restore(state, progress)
    for _ in range(3):
        second.step()
    expected, actual = whole.backbone.state_dict(), second.backbone.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


def test_every_random_generator_is_put_back():
    import random

    import numpy as np

    def draw():
        return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random(), random.gauss(0, 1)

    seed_everything(3)
    state = random_state()
    expected = draw()
    set_random_state(state)
    assert draw() == expected


def test_bf16_trains(tiny, registry):
    training = base_training(tiny, registry)
    training.engine = Engine("cpu", "bf16")
    assert all(value == value for value in training.step().values())
    assert all(p.dtype == torch.float32 for p in training.backbone.state_dict().values())


def test_updates_are_adams_steps_in_their_order(tiny, registry):
    """Both sides are routed twice, in the order of 2 and 1; Adam counts two steps of what both reach."""
    training = base_training(tiny, registry)

    def route(side, groups, losses):
        total, parameters = sum(losses.values()).mean(), list(training.networks(side).parameters())
        return [Route(total, parameters[:1], 2), Route(total, parameters), Route(total, parameters[:3], 1)]

    training.transfer.route = route
    training.step()
    for optimizer in training.optimizers.values():
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        assert [int(optimizer.state[parameter]["step"]) for parameter in own[:4]] == [3, 2, 2, 1]


def test_a_route_of_another_type_is_refused(training):
    training.transfer.route = lambda side, groups, losses: [(sum(losses.values()).mean(), [])]
    with refused(PluginError, "none", "tuple", "i2i.Route"):
        training.step()


def test_a_route_without_parameters_that_learn_is_passed_over(training):
    training.transfer.route = lambda side, groups, losses: [Route(sum(losses.values()).mean(), [])]
    before = [p.clone() for p in training.backbone.parameters()]
    training.step()
    assert all(torch.equal(p, old) for p, old in zip(training.backbone.parameters(), before, strict=True))


@pytest.mark.parametrize("stream", ["../evil/a", "to/a", ""])
def test_streams_in_a_state_are_checked(tmp_path, stream):
    with refused(CheckpointError, tmp_path, "positions", stream, varies="such as '[^']*'"):
        Progress.of({"done": 1, "positions": {stream: 2}}, tmp_path)
