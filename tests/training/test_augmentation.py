from __future__ import annotations

from math import isfinite

import pytest
import torch

from i2i import Loss, Transfer
from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.config.run import RunConfig
from i2i.contracts.augmentation import Unaugmented
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.runs.run import Run, Stopped, create_run
from i2i.testing import Noise
from i2i.training.augmentation import (
    INTERVAL,
    MOST,
    Adaptive,
    DiffAugment,
    augment,
    brighten,
    choose_augmentation,
    contrast,
    cut_out,
    saturate,
    shift,
)
from i2i.training.step import SIDES
from tests.trainings import training_on

ALMOST = 1 - 2**-24  # the largest number that torch.rand gives


def pixel(red, green, blue):
    return torch.tensor([red, green, blue])[:, None, None]


class TestOperations:
    """Against values worked out by hand."""

    def test_brighten(self):
        assert brighten(pixel(-1.0, 0.0, 0.5), 0.75).flatten().tolist() == [-0.75, 0.25, 0.75]

    def test_saturate(self):
        x = pixel(-0.5, 0.25, 1.0)  # its grey is 0.25
        assert saturate(x, 0.0).flatten().tolist() == [0.25, 0.25, 0.25]
        assert saturate(x, 0.25).flatten().tolist() == [-0.125, 0.25, 0.625]
        assert saturate(x, 0.5).flatten().tolist() == [-0.5, 0.25, 1.0]

    def test_contrast(self):
        x = torch.tensor([[[0.0, 0.5]], [[0.0, 0.5]], [[0.0, 0.5]]])  # its mean is 0.25
        assert contrast(x, 0.0)[0].tolist() == [[0.125, 0.375]]
        assert contrast(x, 0.5)[0].tolist() == [[0.0, 0.5]]
        assert contrast(x, 1.0)[0].tolist() == [[-0.125, 0.625]]

    def test_shift(self):
        x = torch.arange(1.0, 65.0).reshape(1, 8, 8).expand(3, -1, -1)  # an eighth is one pixel
        up_right, still = shift(x, 0.0, ALMOST)[0], shift(x, 0.5, 0.5)[0]
        assert torch.equal(up_right[:-1, 1:], x[0, 1:, :-1])
        assert up_right[-1].tolist() == [0] * 8
        assert up_right[:, 0].tolist() == [0] * 8
        assert torch.equal(still, x[0])

    @pytest.mark.parametrize(
        ("at", "rows", "columns"),
        [((0.0, 0.0), (0, 2), (0, 2)), ((0.5, ALMOST), (2, 6), (6, 8)), ((0.25, 0.5), (0, 4), (2, 6))],
    )
    def test_cut_out(self, at, rows, columns):
        expected = torch.ones(3, 8, 8)
        expected[:, slice(*rows), slice(*columns)] = 0
        assert torch.equal(cut_out(torch.ones(3, 8, 8), *at), expected)


class TestAugment:
    def test_without_a_chance_nothing_changes(self):
        x = torch.rand(3, 3, 16, 16)
        assert torch.equal(augment(x, [0.0] * 3), x)

    def test_each_sample_has_its_own_chance_and_changes(self):
        torch.manual_seed(0)
        x = torch.rand(1, 3, 16, 16).expand(4, -1, -1, -1)
        first, second, third, fourth = augment(x, [1.0, 0.0, 1.0, 0.0])
        assert torch.equal(second, x[0])
        assert torch.equal(fourth, x[0])
        assert not torch.equal(first, third)

    def test_as_many_operations_are_used_as_the_chance_says(self):
        torch.manual_seed(0)
        grey = torch.full((400, 3, 8, 8), 0.25)  # on which only brightness, a shift and a hole show
        changed = augment(grey, [0.3] * 400).sub(grey).flatten(1).any(1).float().mean().item()
        assert changed == pytest.approx(1 - 0.7 * (1 - 0.3 * 8 / 9) * 0.7, abs=0.05)  # a shift of 0, 0: 1 in 9

    def test_the_random_numbers_taken_depend_on_no_chance(self):
        def after(chances):
            torch.manual_seed(0)
            augment(torch.zeros(2, 3, 8, 8), chances)
            return torch.rand(1).item()

        assert after([0.0, 0.0]) == after([1.0, 0.5])

    def test_gradients_and_their_gradients_pass(self):
        x = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)

        def cubed(image):
            torch.manual_seed(5)
            return augment(image, [1.0]).pow(3).sum()

        assert torch.autograd.gradcheck(cubed, x)
        assert torch.autograd.gradgradcheck(cubed, x)

    def test_shape_and_type_stay(self):
        x = torch.zeros(2, 3, 16, 24, dtype=torch.bfloat16)
        y = augment(x, [1.0, 1.0])
        assert (y.shape, y.dtype) == (x.shape, x.dtype)


def test_unaugmented_images_are_the_images_and_cost_no_random_number():
    x, state = torch.rand(2, 3, 8, 8), torch.get_rng_state()
    assert Unaugmented()("a", x, ("kid",) * 2) is x
    assert torch.equal(torch.get_rng_state(), state)
    assert (Unaugmented().state(), Unaugmented().chances) == ({}, {})


def test_diffaugment_changes_every_image():
    torch.manual_seed(0)
    x = torch.rand(8, 3, 16, 16)
    assert (DiffAugment()("a", x, ("kid",) * 8) != x).flatten(1).any(1).all()


class TestAdaptive:
    def test_the_probability_follows_the_share_of_logits_beyond_the_boundary(self):
        ada = Adaptive(boundary=0.5, rise=40)
        real = torch.tensor([1.0, 0.6, 0.6, 0.2])[None, None]  # r_t = (3 - 1) / 4
        for _ in range(INTERVAL):
            ada.observe("b", [real], ("kid",))
        assert ada.chances == {"b/kid": 0.0}  # below the target, 0.6
        for _ in range(INTERVAL):
            ada.observe("b", [real + 0.4], ("kid",))  # r_t = 1
        assert ada.chances == {"b/kid": pytest.approx(INTERVAL / 40)}
        for _ in range(INTERVAL - 1):
            ada.observe("b", [real + 0.4], ("kid",))
        assert ada.chances == {"b/kid": pytest.approx(INTERVAL / 40)}

    def test_the_boundary_is_that_of_the_game(self, registry):
        logits = torch.full((1, 1, 2, 2), 0.3)
        for boundary, expected in ((0.5, 0.0), (0.0, 0.4)):
            ada = Adaptive(boundary, rise=10)
            for _ in range(INTERVAL):
                ada.observe("b", [logits], ("kid",))
            assert ada.chances == {"b/kid": expected}
        adversarial = registry.get(Loss, "adversarial")
        modes = {mode: adversarial(adversarial.Config(mode=mode)).boundary for mode in ("lsgan", "hinge")}
        assert modes == {"lsgan": 0.5, "hinge": 0.0}

    def test_it_stays_between_0_and_what_does_not_leak(self):
        ada = Adaptive(0.0, rise=8)
        for _ in range(4 * INTERVAL):
            ada.observe("a", [torch.ones(1, 1, 2, 2)], ("kid",))
        assert ada.chances == {"a/kid": MOST}
        for _ in range(4 * INTERVAL):
            ada.observe("a", [-torch.ones(1, 1, 2, 2)], ("kid",))
        assert ada.chances == {"a/kid": 0.0}

    def test_groups_and_domains_are_judged_apart_and_scales_count_alike(self):
        ada = Adaptive(0.0, rise=8)
        sure, unsure = torch.tensor([1.0, -1.0])
        large = torch.stack([sure.expand(1, 6, 6), unsure.expand(1, 6, 6)])
        small = torch.stack([sure.expand(1, 1, 1), sure.expand(1, 1, 1)])  # for kid: r_t = (-1 + 1) / 2
        for _ in range(INTERVAL):
            ada.observe("b", [large, small], ("man", "kid"))
        assert ada.chances == {"b/man": 0.5, "b/kid": 0.0}
        x = torch.rand(1, 3, 16, 16).expand(40, -1, -1, -1)
        changed = (ada("b", x, ("man",) * 20 + ("kid",) * 20) != x).flatten(1).any(1)
        assert changed[:20].any()
        assert not changed[20:].any()
        assert torch.equal(ada("a", x, ("man",) * 40), x)

    def test_its_state_is_all_there_is(self):
        whole, later = Adaptive(0.0, rise=9), Adaptive(0.0, rise=9)
        logits = torch.randn(7, 2, 1, 3, 3)
        for one in logits[:5]:
            whole.observe("b", [one], ("man", "kid"))
        later.load({name: tensor.clone() for name, tensor in whole.state().items()})
        for one in logits[5:]:
            whole.observe("b", [one], ("man", "kid"))
            later.observe("b", [one], ("man", "kid"))
        assert later.state().keys() == whole.state().keys() == {"b/man", "b/kid"}
        assert all(torch.equal(later.state()[name], tensor) for name, tensor in whole.state().items())
        assert later.chances == whole.chances


@pytest.mark.parametrize(("name", "kind"), [("none", Unaugmented), ("diffaugment", DiffAugment), ("ada", Adaptive)])
def test_the_option_chooses(name, kind):
    assert type(choose_augmentation(RunConfig(augment=name), 100, 0.5, "woman")) is kind


@pytest.mark.parametrize(("name", "changed"), [("few-shot", [False, True, True]), ("diffaugment", [True, True, True])])
def test_few_shot_groups_alone_can_be_augmented(name, changed):
    x = torch.rand(3, 3, 32, 32)
    augmentation = choose_augmentation(RunConfig(augment=name), 100, 0.5, "woman")
    torch.manual_seed(0)
    actual = augmentation("b", x, ("woman", "man", "kid"))
    torch.manual_seed(0)
    everywhere = DiffAugment()("b", x, ("woman", "man", "kid"))
    assert [not torch.equal(*pair) for pair in zip(actual, x, strict=True)] == changed
    assert torch.equal(actual[1:], everywhere[1:])


def test_a_base_stage_with_few_shot_augmentation_draws_no_random_numbers():
    before = torch.get_rng_state()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert DiffAugment(spared="woman")("b", x, ("woman", "woman")) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_the_probability_rises_within_a_share_of_the_stage():
    ada = choose_augmentation(RunConfig(augment="ada", ada_rise=0.1, ada_target=0.9), 400, 0.0, "woman")
    for _ in range(INTERVAL):
        ada.observe("b", [torch.ones(1, 1)], ("kid",))
    assert ada.chances == {"b/kid": pytest.approx(INTERVAL / 40)}


class Painted(DiffAugment):
    """Adds 3, so that what was augmented is known."""

    def __call__(self, domain, x, groups):
        return x + 3


def training(given, registry, data, groups=(), **options):
    seed_everything(0)
    chosen = resolve(given, registry)
    return training_on(data, Model(chosen, data.base, groups), **options)


@pytest.fixture
def cyclegan(tiny):
    return merge(tiny, {"backbone": {"name": "cyclegan", "pool_size": 2}})


class TestJudging:
    @pytest.fixture
    def painted(self, cyclegan, registry, tmp_path):
        return training(cyclegan, registry, Noise(tmp_path), augmentation=Painted())

    @pytest.mark.parametrize("side", SIDES)
    def test_both_sides_judge_what_was_augmented(self, painted, side):
        seen = []
        for network in painted.backbone.discriminators.values():
            network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        painted._backward(side, painted._generate(("woman", "woman")))
        assert len(seen) == {"discriminator": 4, "generator": 2}[side]
        assert all(x.min() >= 2 for x in seen)

    def test_generators_and_the_image_pool_see_what_was_not(self, painted):
        seen = []
        for network in painted.backbone.generators.values():
            network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        for _ in range(2):
            painted.step()
        assert all(x.max() <= 1 for x in [*seen, *painted.backbone.training_state().values()])

    def test_the_gradient_penalty_is_taken_at_the_image_through_the_augmentation(self, cyclegan, registry, tmp_path):
        class Doubled(DiffAugment):
            def __call__(self, domain, x, groups):
                return 2 * x

        given = merge(cyclegan, {"loss": {"adversarial": {"r1": 2.0, "discriminator_weight": 0.0}}})
        penalised = training(given, registry, Noise(tmp_path), augmentation=Doubled())
        passes = penalised._generate(("woman",))
        penalised.backbone.judge(passes, "discriminator")
        actual = penalised.losses["adversarial"].discriminator(passes)
        expected = 0.0
        for domain, network in penalised.backbone.discriminators.items():
            x = (2 * passes.batch.real[domain]).requires_grad_()
            (gradient,) = torch.autograd.grad(network(x).logits[0].mean(), x)
            expected += 4 * gradient.square().sum()  # twice the gradient at the doubled image
        torch.testing.assert_close(actual[0], expected)


def test_adaptive_augmentation_hears_of_every_group_and_domain(tiny, registry, folder_root):
    data = resolve_data(tiny, registry).build()
    ada = Adaptive(0.5, rise=4, target=-0.99)
    adapted = training(merge(tiny, {"transfer": {"name": "branch"}}), registry, data, ("man", "kid"), augmentation=ada)
    for _ in range(INTERVAL):
        adapted.step()
    assert ada.chances.keys() == {f"{domain}/{group}" for domain in "ab" for group in ("woman", "man", "kid")}


@pytest.mark.parametrize("backbone", ["ugatit", "unit", "photo2cartoon"])
def test_every_backbone_goes_with_it(tiny, registry, tmp_path, backbone):
    given = {**tiny, "backbone": {"name": backbone, "channels": 4}, "loss": {"adversarial": {"r1": 0.1}}}
    report = training(given | {"generator": {}}, registry, Noise(tmp_path), augmentation=DiffAugment(), ema=0.9).step()
    assert all(isfinite(value) for value in report.values())


def test_every_transfer_goes_with_it(cyclegan, registry, tmp_path):
    given = merge(cyclegan, {"loss": {"adversarial": {"r1": 0.1}}})
    data = Noise(tmp_path)
    for transfer in registry.names(Transfer):
        chosen = merge(given, {"transfer": {"name": transfer}})
        report = training(chosen, registry, data, ("man",), augmentation=DiffAugment(), ema=0.9).step()
        assert all(isfinite(value) for value in report.values()), transfer


@pytest.mark.parametrize(("mode", "boundary"), [("lsgan", 0.5), ("hinge", 0.0)])
def test_a_run_takes_the_boundary_of_its_game(tmp_path, cyclegan, registry, monkeypatch, mode, boundary):
    seen = []
    monkeypatch.setattr("i2i.runs.stages.choose_augmentation", lambda config, *given: seen.append(given))
    given = merge(cyclegan, {"steps": 1, "stages": ["base"], "loss": {"adversarial": {"mode": mode}}})
    create_run(tmp_path / "run", given, registry).execute()
    assert seen == [(1, boundary, "woman")]


@pytest.mark.full
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, cyclegan, registry):
    # Discriminators that hardly learn stay undecided about real images, far above the target: chances rise.
    undecided = {"loss": {"adversarial": {"mode": "hinge"}}, "backbone": {"lr": 1e-5}}
    ada = {"augment": "ada", "ada_target": -0.9}
    given = merge(cyclegan, {"steps": 5, "transfer_steps": 6, "ema": 0.9, **ada, **undecided})
    create_run(tmp_path / "whole", given, registry).execute()
    run = create_run(tmp_path / "parts", given, registry)
    for stop in (4, 10):  # right after an adjustment, and in the transfer
        with pytest.raises(Stopped):
            run.execute(stop_after=stop)
        run = Run(tmp_path / "parts", registry)
    run.execute()
    for name in ("base.safetensors", "model.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    assert min(run.model.backbone.augmentation.chances.values()) > 0
