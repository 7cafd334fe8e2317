from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from i2i.contracts.branches import Branches, keep_branch, routed
from i2i.exchange.exporting import only
from i2i_transfer.adapter import AdaptedConv2d, LowRank, ModulatedConv2d, Modulation, Unchanged, Unmodulated


def adapted(**options) -> tuple[nn.Conv2d, AdaptedConv2d]:
    """Return a convolution, and the same with an adapter of rank 2 and alpha 3 for the group 'man'."""
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, **options).double()
    own = LowRank(conv, 2, 3.0).double()
    nn.init.normal_(own.up.weight)
    return conv, AdaptedConv2d(conv, Branches("woman", {"woman": Unchanged(), "man": own}))


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"stride": 2, "padding": 1, "padding_mode": "reflect"}])
def test_a_group_adds_a_weight_of_low_rank(options):
    conv, own = adapted(**options)
    x = torch.randn(3, 4, 9, 9).double()
    low = own.adapters.branches["man"]
    added = 3.0 / 2 * (low.up.weight.flatten(1) @ low.down.weight.flatten(1)).reshape(6, 4, 3, 3)
    torch.testing.assert_close(low.added(conv.weight), added)
    assert torch.linalg.matrix_rank(added.flatten(1)) == 2
    expected = copy.deepcopy(conv)
    expected.weight.data += added
    with routed(("man", "woman", "man")):
        actual = own(x)
    torch.testing.assert_close(actual[[0, 2]], expected(x[[0, 2]]))
    assert torch.equal(actual[1:2], conv(x[1:2])), "the base group has no adapter"
    assert torch.equal(own.eval()(x), conv(x)), "outside of a route the base group is served"


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"stride": 2, "padding": 1, "padding_mode": "reflect"}])
def test_a_group_multiplies_the_weight_by_factors_of_low_rank(options):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, **options).double()
    own = Modulation(conv, 2, 3.0).double()
    nn.init.normal_(own.up)
    modulated = ModulatedConv2d(conv, Branches("woman", {"woman": Unmodulated(6), "man": own}))
    expected, x = copy.deepcopy(conv), torch.randn(3, 4, 9, 9).double()
    expected.weight.data *= 1 + 3.0 / 2 * (own.up @ own.down)[..., None, None]
    with routed(("man", "woman", "man")):
        actual = modulated(x)
    torch.testing.assert_close(actual[[0, 2]], expected(x[[0, 2]]))
    torch.testing.assert_close(actual[1:2], conv(x[1:2]))
    holder = nn.Sequential(modulated)
    keep_branch(holder, "man")
    assert type(holder[0]) is nn.Conv2d
    torch.testing.assert_close(holder(x), expected(x))


def test_an_adapter_starts_as_nothing_and_keeps_the_names_of_the_convolution():
    conv, _ = adapted()
    own = AdaptedConv2d(conv, Branches("woman", {"woman": Unchanged(), "man": LowRank(conv, 2, 3.0).double()}))
    x = torch.randn(1, 4, 9, 9).double()
    with routed(("man",)):
        assert torch.equal(own(x), conv(x))
    assert own.weight is conv.weight
    assert {"weight", "bias"} <= set(own.state_dict())


@pytest.mark.parametrize("options", [{"branches": True}, {"branches": False}, {"form": "modulated"}])
@pytest.mark.parametrize("group", ["woman", "man"])
def test_folded_for_inference_a_group_is_translated_as_before(prepare, group, options):
    training = prepare("adapter", **options)
    _scatter(training.backbone.generators)
    model, x = training.model, torch.rand(2, 3, 32, 32) * 2 - 1
    single = only(model, group)
    torch.testing.assert_close(single.translate(x), model.translate(x, group), atol=1e-5, rtol=0)
    kinds = {type(module) for module in single.backbone.modules()}
    assert not kinds & {AdaptedConv2d, ModulatedConv2d, LowRank, Modulation, Branches}
    kind = ModulatedConv2d if options.get("form") else AdaptedConv2d
    assert kind in {type(module) for module in model.backbone.modules()}, "the model itself is kept"


@pytest.mark.parametrize("form", ["added", "modulated"])
def test_the_two_groups_differ_once_adapters_have_learned(prepare, form):
    training = prepare("adapter", branches=False, form=form)
    _scatter(training.backbone.generators)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    images = [training.model.translate(x, group) for group in training.model.groups]
    assert all((one - other).abs().max() > 1e-3 for one, other in pairwise(images))


@pytest.mark.parametrize("branches", [True, False])
def test_adapters_are_on_the_trunks_plain_convolutions(prepare, branches):
    generator = prepare("adapter", branches=branches).backbone.generators["a2b"]
    found = {path for path, module in generator.named_modules() if isinstance(module, AdaptedConv2d)}
    outermost = {"down.0.1", "down.1.1", "down.2.1"}
    trunk = {"blocks.0.body.1", "blocks.0.body.5", "decode.0.conv1", "decode.0.conv2"}
    assert found == trunk | (set() if branches else outermost)


def test_a_folded_generator_is_one_without_adapters(prepare):
    generator = prepare("adapter").backbone.generators["a2b"]
    keep_branch(generator, "man")
    assert generator.state_dict().keys() == generator.published_keys().keys()


def _scatter(networks: nn.Module) -> None:
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in networks.named_parameters():
            if "branches." in name:
                parameter += 0.05 * torch.randn_like(parameter)
