"""Real images and fakes judged in one batch get the verdicts of two calls in turn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.contracts import backbone as contract
from i2i.contracts.domains import DOMAINS, Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Passes
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.training.augmentation import DiffAugment

GROUPS = ("woman", "man", "woman", "man")
CASES = [
    *((judge, "none") for judge in ("ugatit", "patch", "multiscale")),
    *(("ugatit", kind) for kind in ("branched", "classification", "projection")),
]


@pytest.fixture(params=CASES, ids="-".join)
def backbone(request, tiny, registry):
    judge, kind = request.param
    given = merge(tiny, {"backbone": {"name": "ugatit"}, "discriminator": {"name": judge}})
    if kind != "none":
        given = merge(given, {"transfer": {"name": "branch", "judge": kind}})
    seed_everything(0)
    chosen = resolve(given, registry)
    model = Model(chosen, "woman", () if kind == "none" else ("man",)).backbone.double().train()
    for name, parameter in model.named_parameters():
        if "branches.man" in name or "vectors" in name:
            nn.init.normal_(parameter, std=0.1)
    return model


def passes_of(side, needs=frozenset()):
    images = torch.rand(4, 4, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(1)) * 2 - 1
    passes = Passes(Batch({"a": images[0], "b": images[1]}, GROUPS), ("woman", "man"), needs)
    passes.fake = {domain: Translation(image) for domain, image in zip(DOMAINS, images[2:], strict=True)}
    return passes


def judged(model, monkeypatch, together, needs=frozenset()):
    """Return verdicts and gradients of a copy of the model, whose buffers show how far its iterations went."""
    model = copy.deepcopy(model)
    model.augmentation = DiffAugment()
    seed_everything(3)
    monkeypatch.setattr(contract, "judges_each_alone", lambda judge: together)
    passes = passes_of(64, needs)
    model.judge(passes, "discriminator")
    verdicts = [v for d in DOMAINS for v in (passes.real_verdict[d], passes.fake_verdict[d])]
    tensors = [t for v in verdicts for t in v.logits + v.cam_logits + v.features + v.group_logits]
    total = sum((number + 1) * tensor.square().mean() for number, tensor in enumerate(tensors))
    total.backward()
    gradients = {name: p.grad for name, p in model.discriminators.named_parameters()}
    return tensors, gradients, dict(model.discriminators.named_buffers())


def test_one_batch_equals_two_calls(backbone, monkeypatch):
    actual, expected = (judged(backbone, monkeypatch, together) for together in (True, False))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("needs", [frozenset(), frozenset({"gradient"})])
def test_a_gradient_at_real_images_needs_two_calls(backbone, needs, monkeypatch):
    calls = []
    verdict = type(backbone).verdict
    monkeypatch.setattr(type(backbone), "verdict", lambda *given: calls.append(len(given[2])) or verdict(*given))
    passes = passes_of(64, needs)
    backbone.judge(passes, "discriminator")
    assert calls == ([4] * 4 if needs else [8] * 2)
    assert passes.judged["a"].requires_grad == bool(needs)


def test_networks_are_looked_through_once_until_the_mode_is_set_again(backbone, monkeypatch):
    asked, samples = [], []
    question, verdict = contract.is_stochastic, type(backbone).verdict
    monkeypatch.setattr(contract, "is_stochastic", lambda network: asked.append(network) or question(network))
    monkeypatch.setattr(type(backbone), "verdict", lambda *given: samples.append(len(given[2])) or verdict(*given))
    for _ in range(2):
        backbone.judge(passes_of(64), "discriminator")
    assert (asked, samples) == ([backbone.discriminators], [8] * 4)
    backbone.discriminators["a"].dropout = nn.Dropout()
    backbone.train()
    backbone.judge(passes_of(64), "discriminator")
    assert (asked, samples) == ([backbone.discriminators] * 2, [8] * 4 + [4, 4, 8])


def test_muon_updates_convolutions_by_orthogonal_matrices_of_adams_size(registry):
    """Adam's first update changes every weight by the rate; Muon's has a fifth of it as root mean square."""
    model = resolve({"backbone": {"optimizer": "muon", "lr": 0.5}}, registry).build_backbone(judges=False)
    weight, bias = nn.Parameter(torch.randn(16, 4, 3, 3)), nn.Parameter(torch.randn(16))
    weight.grad, bias.grad = torch.randn_like(weight), torch.randn_like(bias)
    before = weight.detach().clone(), bias.detach().clone()
    model.optimizer([{"params": [weight, bias], "lr": 0.25}]).step()
    values = torch.linalg.svdvals((before[0] - weight.detach()).flatten(1))
    torch.testing.assert_close(values, torch.full((16,), 0.25 * 0.2 * 36**0.5), rtol=0.3, atol=0)
    torch.testing.assert_close((before[1] - bias.detach()).abs(), torch.full((16,), 0.25), rtol=1e-3, atol=0)
