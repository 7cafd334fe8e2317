"""A class-activation classifier a group: the option ``cam`` of the transfer ``branch``."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from i2i.config.options import merge
from i2i.contracts.branches import Branches, branch, branch_parameters, routed
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.nn.attention import CamAttention
from tests.wording import refused

GROUPS = ("woman", "man", "kid")
ORDER = ("kid", "woman", "man", "kid", "woman")


class Holder(nn.Module):
    """What a generator is to `branch`: a module that has the attention below it."""

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.attention = CamAttention(6, **options)


@pytest.fixture(params=[{}, {"bias": True}, {"spectral": True}], ids=["plain", "bias", "spectral"])
def pair(request):
    """A shared attention, and the same with a classifier a group."""
    torch.manual_seed(0)
    shared = Holder(**request.param).double().eval()
    own = copy.deepcopy(shared)
    branch(own, ["attention.heads"], "woman", GROUPS[1:])
    return shared.attention, own.attention


def features(count=5):
    return torch.randn(count, 6, 4, 5, dtype=torch.double)


def test_equal_classifiers_compute_what_a_shared_one_computes(pair):
    shared, own = pair
    x = features()
    with routed(ORDER):
        actual = own(x)
    for ours, expected in zip(actual, shared(x), strict=True):
        torch.testing.assert_close(ours, expected)


def test_equal_classifiers_have_the_gradients_of_a_shared_one(pair):
    shared, own = pair
    x, y = (features().requires_grad_() for _ in range(2))
    y.data.copy_(x.data)
    _loss(shared(x)).backward()
    with routed(ORDER):
        _loss(own(y)).backward()
    torch.testing.assert_close(y.grad, x.grad)
    torch.testing.assert_close(own.merge.weight.grad, shared.merge.weight.grad)
    summed = sum(head.average.weight.grad for head in own.heads.branches.values())
    torch.testing.assert_close(summed, shared.heads.average.weight.grad)


def test_a_mixed_batch_equals_each_sample_by_its_groups_classifier(pair):
    _, own = pair
    _scatter(own.heads)
    x = features()
    with routed(ORDER):
        y, logits = own(x)
    for index, group in enumerate(ORDER):
        with routed((group,)):
            alone = own(x[index : index + 1])
        torch.testing.assert_close(y[index : index + 1], alone[0])
        torch.testing.assert_close(logits[index : index + 1], alone[1])


def test_a_groups_classifier_is_that_of_an_attention_of_its_own(pair):
    shared, own = pair
    _scatter(own.heads)
    x = features(2)
    for group in GROUPS:
        alone = copy.deepcopy(shared)
        alone.heads = own.heads.branches[group]
        with routed((group, group)):
            for ours, expected in zip(own(x), alone(x), strict=True):
                torch.testing.assert_close(ours, expected)


def test_outside_of_a_route_the_base_groups_classifier_serves(pair):
    own = pair[1].eval()
    _scatter(own.heads)
    x = features(2)
    with routed(("woman", "woman")):
        expected = own(x)
    assert all(torch.equal(ours, value) for ours, value in zip(own(x), expected, strict=True))


@pytest.mark.parametrize(("cam", "branched"), [("shared", False), ("group", True)])
def test_the_option_branches_the_classifiers(tiny, registry, cam, branched):
    given = merge(tiny, {"transfer": {"name": "branch", "cam": cam}})
    model = Model(resolve(given, registry), "woman", GROUPS[1:])
    for generator in model.backbone.generators.values():
        heads = generator.attention.heads
        assert isinstance(heads, Branches) is branched
        own = {id(p) for p in branch_parameters(generator, ["man"])}
        assert (id(list(heads.parameters())[-1]) in {id(p) for p in branch_parameters(generator, ["kid"])}) is branched
        assert len(own) == len({id(p) for p in branch_parameters(generator, ["kid"])})


def test_every_group_starts_as_the_base_does(tiny, registry):
    torch.manual_seed(0)
    model = Model(resolve(tiny, registry), "woman")
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = model.translate(x)
    model.adapt(resolve(merge(tiny, {"transfer": {"name": "branch", "cam": "group"}}), registry), GROUPS[1:])
    for group in GROUPS:
        torch.testing.assert_close(model.translate(x, group), expected, atol=1e-5, rtol=0)


def test_a_generator_without_attention_is_refused(tiny, registry):
    given = merge(tiny, {"backbone": {"name": "cyclegan"}, "transfer": {"name": "branch", "cam": "group"}})
    with refused(ConfigError, "--transfer.cam group", "resnet", "--transfer.cam shared"):
        Model(resolve(given, registry), "woman", GROUPS[1:])


def _loss(result):
    y, logits = result
    return y.square().sum() + (logits * torch.arange(1, logits.numel() + 1).view_as(logits)).sum()


def _scatter(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn_like(parameter)
