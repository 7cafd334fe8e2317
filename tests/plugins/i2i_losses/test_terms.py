"""Each term against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from i2i.config.options import merge
from i2i.contracts.discriminator import Verdict
from i2i.contracts.domains import Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Passes
from i2i_losses.terms import Adversarial, Cam, Cycle, GroupClassification, Identity
from tests.training.test_step import base_training


def image(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2)


def logits(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


@pytest.fixture
def passes():
    batch = Batch({"a": image(0.0, 0.5), "b": image(1.0, -1.0)}, ("woman", "man"))
    return Passes(batch, ("woman", "man", "kid"))


@pytest.mark.parametrize(
    ("mode", "generator", "discriminator"),
    [
        # one domain: real logit 2, fake logit -1; the CAM logit repeats them; both domains are alike
        ("lsgan", 4 * 4.0, 4 * (1.0 + 1.0)),
        ("hinge", 4 * 1.0, 4 * (0.0 + 0.0)),
        ("nonsaturating", 4 * math.log1p(math.e), 4 * (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)))),
    ],
)
def test_adversarial(passes, mode, generator, discriminator):
    for domain in "ab":
        passes.real_verdict[domain] = Verdict([image(2.0, 2.0)[:, :1]], [logits(2.0, 2.0)])
        passes.fake_verdict[domain] = Verdict([image(-1.0, -1.0)[:, :1]], [logits(-1.0, -1.0)])
    loss = Adversarial(Adversarial.Config(mode=mode, discriminator_weight=0.5))
    assert loss.generator(passes).tolist() == pytest.approx([generator] * 2)
    assert loss.discriminator(passes).tolist() == pytest.approx([discriminator / 2] * 2)


def test_adversarial_adds_scales_and_averages_patches(passes):
    for domain in "ab":
        passes.fake_verdict[domain] = Verdict([torch.tensor([[1.0, 3.0]] * 2), logits(0.0, 2.0)])
    loss = Adversarial(Adversarial.Config())
    assert loss.generator(passes).tolist() == pytest.approx([2 * (2.0 + 1.0), 2 * (2.0 + 1.0)])


def test_cycle(passes):
    passes.cycled = {"a": Translation(image(0.25, 0.5)), "b": Translation(image(1.0, 0.0))}
    assert Cycle(Cycle.Config()).generator(passes).tolist() == [0.25, 1.0]
    assert Cycle(Cycle.Config()).discriminator(passes) is None


def test_identity(passes):
    passes.identity = {"a": Translation(image(0.5, 0.0)), "b": Translation(image(0.0, -1.0))}
    assert Identity(Identity.Config()).generator(passes).tolist() == [1.5, 0.5]


def test_cam(passes):
    passes.fake = {d: Translation(image(0, 0), torch.tensor([[0.0, 0.0], [2.0, 2.0]])) for d in "ab"}
    passes.identity = {d: Translation(image(0, 0), torch.tensor([[0.0, 0.0], [-2.0, 2.0]])) for d in "ab"}
    second = math.log1p(math.exp(-2)) + (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert Cam(Cam.Config()).generator(passes).tolist() == pytest.approx([4 * math.log(2), 2 * second])


def test_group_sums_heads_for_discriminators_and_averages_them_for_generators(passes):
    head = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # right for the woman, wrong for the man
    verdict = Verdict([], [], [], [head, head])
    passes.real_verdict = passes.fake_verdict = {"a": verdict, "b": verdict}
    loss = GroupClassification(GroupClassification.Config())
    assert loss.generator(passes).tolist() == pytest.approx([0.0, 2 / 3])
    assert loss.discriminator(passes).tolist() == pytest.approx([0.0, 4 * 2 / 3])


def test_group_by_cross_entropy(passes):
    verdict = Verdict([], [], [], [torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])])
    passes.real_verdict = passes.fake_verdict = {"a": verdict, "b": verdict}
    loss = GroupClassification(GroupClassification.Config(mode="cross_entropy"))
    expected = [math.log(3), math.log(math.exp(2) + 2) - 2]
    assert loss.generator(passes).tolist() == pytest.approx(expected)
    assert loss.discriminator(passes).tolist() == pytest.approx([2 * value for value in expected])


def test_r1_is_the_squared_gradient_at_real_images(passes):
    # D(x) = mean of 3 * x over 2 x 2 patches of the red channel: its gradient is 3/4 at each of 4 pixels
    for domain in "ab":
        passes.judged[domain] = passes.batch.real[domain].clone().requires_grad_()
        passes.real_verdict[domain] = Verdict([3 * passes.judged[domain][:, :1]])
        passes.fake_verdict[domain] = Verdict([image(0.0, 0.0)[:, :1]])
    without, with_r1 = (Adversarial(Adversarial.Config(r1=r1)) for r1 in (0.0, 10.0))
    assert "gradient" not in without.needs
    assert "gradient" in with_r1.needs
    penalty = with_r1.discriminator(passes) - without.discriminator(passes)
    assert penalty.tolist() == pytest.approx([2 * 10 / 2 * 4 * (3 / 4) ** 2] * 2)


def test_r1_trains_the_discriminators(tiny, registry):
    training = base_training(merge(tiny, {"loss": {"adversarial": {"r1": 5.0}}}), registry)
    plain = base_training(tiny, registry)
    penalised_loss, plain_loss = (run.step()["discriminator/adversarial"] for run in (training, plain))
    assert penalised_loss > plain_loss
    first, second = ([p for p in run.backbone.discriminators.parameters()] for run in (training, plain))
    assert any(not torch.equal(p, q) for p, q in zip(first, second, strict=True))
