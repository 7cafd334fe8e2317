"""Sub-steps: the same step as one joined batch takes, with one graph at a time."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from i2i.compute.engine import Engine
from i2i.compute.randomness import seed_everything
from i2i.contracts.loss import Loss
from i2i.training.augmentation import INTERVAL, Adaptive, DiffAugment
from i2i.training.average import warmed_up
from i2i.training.substeps import CollectingAugmentation, judging, needs, redistributed
from tests.plugins.i2i_transfer.routing import precise, training_of

BACKBONES = ["ugatit", "cyclegan"]  # whose discriminators, and whose generators update first
PROCESSES = Engine("cpu").processes
CASES = [
    ("branch", "ugatit", {"cam_groups": "all"}),
    ("branch", "cyclegan", {"updates": "released", "judge": "classification"}),
    ("finetune", "ugatit", {}),
    ("joint", "cyclegan", {}),
]


@pytest.mark.parametrize(("name", "backbone", "options"), CASES)
def test_two_sub_steps_equal_one_step_of_the_joined_batch(tmp_path, registry, name, backbone, options):
    joined, parts = (
        precise(training_of(tmp_path, registry, name, backbone=backbone, ema=0.9, **how, **options))
        for how in ({"batch_size": 2}, {"accumulate": 2})
    )
    if backbone == "ugatit":  # gradients reach 1e7, so that those near 1 are mostly rounding errors
        for optimizer in (*joined.optimizers.values(), *parts.optimizers.values()):
            for group in optimizer.param_groups:
                group["eps"] = 1e6
    start = {name: tensor.clone() for name, tensor in joined.backbone.state_dict().items()}
    for _ in range(2):
        expected, report = joined.step(), parts.step()
        assert report == pytest.approx(expected, rel=1e-9)
    moved = [(tensor - start[name]).abs().max().item() for name, tensor in joined.backbone.state_dict().items()]
    assert max(moved) > 1e-5
    assert parts.loader.positions == joined.loader.positions
    assert parts.samples_per_step == joined.samples_per_step
    for actual, wanted in ((parts.backbone.state_dict(), joined.backbone), (parts.average.state(), joined.average)):
        for key, tensor in (wanted.state() if wanted is joined.average else wanted.state_dict()).items():
            torch.testing.assert_close(actual[key], tensor, rtol=1e-11, atol=1e-14, msg=key)


class Mark:
    """What can be looked for."""


@pytest.mark.parametrize("backbone", BACKBONES)
def test_only_one_graph_is_there_at_a_time(tmp_path, registry, backbone):
    training, live, most = training_of(tmp_path, registry, "branch", backbone=backbone, accumulate=3), [], []
    run = training._run

    def watched(batch, wanted):
        most.append(sum(found() is not None for found in live))
        passes = run(batch, wanted)
        if passes.fake["b"].image.requires_grad:
            mark = Mark()
            passes.fake["b"].image.grad_fn.metadata["mark"] = mark  # lives as long as the graph does
            live.append(weakref.ref(mark))
        return passes

    training._run = watched
    training.step()
    assert len(live) == 3 * 2, "a graph for each sub-batch of each sub-step"
    assert max(most) == 0, "all are gone when the next one is made"


@pytest.mark.parametrize(("backbone", "calls"), [("ugatit", 2 + 4), ("cyclegan", 4)])
def test_discriminators_that_update_first_cost_one_more_call_of_each_generator(tmp_path, registry, backbone, calls):
    training, found = training_of(tmp_path, registry, "joint", backbone=backbone, accumulate=2), []
    training.backbone.generators["a2b"].register_forward_hook(
        lambda module, inputs, output: found.append((len(inputs[0]), output.image.requires_grad))
    )
    training.step()
    assert len(found) == calls
    unlinked = [(2, False)] * 2  # the fakes alone, without identity and cycle
    assert found == [*unlinked, (4, True), (2, True), (4, True), (2, True)][6 - calls :]


def test_what_judges_is_what_has_a_discriminator_side(registry):
    losses = [
        registry.get(Loss, name)(registry.get(Loss, name).Config()) for name in ("adversarial", "cycle", "identity")
    ]
    assert [loss.name for loss in judging(losses)] == ["adversarial"]
    assert needs(judging(losses)) == {"fake", "verdict"}
    assert needs(losses) == {"fake", "verdict", "cycled", "identity"}


def test_a_term_of_the_discriminators_may_read_any_pass_that_it_needs(tmp_path, registry):
    seen = []

    class Curious(Loss):
        name, needs = "curious", frozenset({"cycled", "verdict"})

        def discriminator(self, passes):
            seen.append({name for name in ("cycled", "identity") if getattr(passes, name)})
            return passes.fake_verdict["a"].logits[0].flatten(1).mean(1)

    for backbone in BACKBONES:
        training = training_of(tmp_path, registry, "joint", backbone=backbone, accumulate=2)
        training.losses["curious"] = Curious(Curious.Config())
        training.step()
    assert seen == [{"cycled"}] * 4


@pytest.mark.parametrize("backbone", BACKBONES)
def test_resuming_in_sub_steps_goes_on_with_the_same_bytes(tmp_path, registry, backbone):
    whole, first, second = (
        training_of(tmp_path, registry, "joint", backbone=backbone, accumulate=2, ema=0.9) for _ in range(3)
    )
    for training in (whole, first, second):
        training._augmentation._inner = DiffAugment()
    seed_everything(1)
    for _ in range(2):
        whole.step()
    seed_everything(1)
    first.step()
    state, progress = first.state(), first.progress()
    second.backbone.load_state_dict(first.backbone.state_dict())
    seed_everything(9)
    second.restore(state, progress)
    second.step()
    actual = second.backbone.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in whole.backbone.state_dict().items())
    assert second.progress() == whole.progress()


def test_the_average_is_taken_once_a_step(tmp_path, registry):
    training = training_of(tmp_path, registry, "joint", accumulate=3, ema=0.9)
    before = {name: tensor.clone() for name, tensor in training.average.state().items()}
    training.step()
    raw, share = training.backbone.generators.state_dict(), 1 - warmed_up(0.9, 1)
    for name, tensor in training.average.state().items():
        torch.testing.assert_close(tensor, before[name].lerp(raw[name], share))


class TestHearing:
    def test_adaptive_augmentation_hears_once_a_step_of_all_sub_steps(self):
        ada = Adaptive(0.0, rise=8)
        hearing, sure = CollectingAugmentation(ada, ("woman", "kid"), PROCESSES), torch.ones(1, 1, 2, 2)
        for step in range(INTERVAL):
            assert ada.chances == {}, step
            for domain, logits in (("a", sure), ("b", -sure), ("b", sure), ("a", sure)):
                hearing.observe(domain, [logits], ("kid",))
            hearing.settle(hearing.collected())
        assert hearing.chances == {"a/kid": 0.5, "b/kid": 0.0}  # r_t of 1, and of (1 - 1) / 2, below the target

    def test_nothing_is_heard_twice(self):
        ada = Adaptive(0.0, rise=8)
        hearing = CollectingAugmentation(ada, ("kid",), PROCESSES)
        hearing.observe("a", [torch.ones(1, 1)], ("kid",))
        hearing.settle(hearing.collected())
        hearing.settle(hearing.collected())
        assert hearing.state()["a/kid"].tolist() == [0.0, 1.0, 1.0]

    def test_it_changes_images_and_keeps_its_state_as_the_augmentation_does(self):
        torch.manual_seed(0)
        x = torch.rand(2, 3, 8, 8)
        assert not torch.equal(CollectingAugmentation(DiffAugment(), ("kid",), PROCESSES)("a", x, ("kid",) * 2), x)
        other = CollectingAugmentation(Adaptive(0.0, rise=8), ("kid",), PROCESSES)
        other.load({"a/kid": torch.tensor([0.5, 2.0, 3.0])})
        assert other.chances == {"a/kid": 0.5}
        assert other.state()["a/kid"].tolist() == [0.5, 2.0, 3.0]


def test_sub_steps_in_bf16(tmp_path, registry):
    training = training_of(tmp_path, registry, "joint", precision="bf16", accumulate=2)
    assert np.isfinite(list(training.step().values())).all()


@pytest.mark.parametrize(
    ("accumulate", "before", "now", "sub_steps"), [(1, 2, 1, 2), (1, 4, 2, 2), (4, 1, 2, 2), (3, 2, 2, 3), (1, 2, 3, 1)]
)
def test_another_number_of_processes_keeps_the_sub_steps_of_a_step_if_it_can(accumulate, before, now, sub_steps):
    assert redistributed(accumulate, before, now) == sub_steps
