from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from i2i.config.options import check_group_name
from i2i.contracts.branches import Branches, branch, branch_parameters, has_branches, parameters_without, routed
from i2i.errors import ConfigError
from tests.wording import mentions, refused

GROUPS = ("woman", "man", "kid")


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x * self.factor + (0 if y is None else y)


@dataclass
class Pair:
    one: Tensor
    many: list[Tensor]
    nothing: None = None


class Splits(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        return Pair(x, [x + 1, x + 2])


@pytest.fixture
def branches():
    return Branches("woman", {"woman": Scale(1.0), "man": Scale(10.0), "kid": Scale(100.0)})


def test_every_sample_goes_through_the_branch_of_its_group(branches):
    x = torch.arange(1.0, 6.0)[:, None]
    with routed(("kid", "woman", "man", "woman", "kid")):
        actual = branches(x)
    torch.testing.assert_close(actual, torch.tensor([[100.0], [2.0], [30.0], [4.0], [500.0]]))


@given(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=12))
def test_any_order_of_groups_keeps_the_order_of_samples(groups):
    factors = {"woman": 1.0, "man": 10.0, "kid": 100.0}
    module = Branches("woman", {group: Scale(factor) for group, factor in factors.items()})
    x = torch.arange(1.0, len(groups) + 1)
    with routed(tuple(groups)):
        actual = module(x)
    assert actual.tolist() == [x[i].item() * factors[g] for i, g in enumerate(groups)]


def test_further_inputs_are_split_alike(branches):
    with routed(("man", "woman", "man")):
        actual = branches(torch.ones(3), torch.tensor([1.0, 2.0, 3.0]))
    assert actual.tolist() == [11.0, 3.0, 13.0]


def test_structured_results_are_joined():
    module = Branches("woman", {"woman": Splits(), "man": Splits()})
    with routed(("man", "woman", "man")):
        actual = module(torch.tensor([1.0, 2.0, 3.0]))
    assert actual.one.tolist() == [1.0, 2.0, 3.0]
    assert [t.tolist() for t in actual.many] == [[2.0, 3.0, 4.0], [3.0, 4.0, 5.0]]
    assert actual.nothing is None


@pytest.mark.parametrize("training", [True, False])
def test_the_base_serves_where_no_group_is_named(branches, training):
    branches.train(training)
    with routed(("man", "man")), routed(None):
        assert branches(torch.ones(2)).tolist() == [1.0, 1.0]


def test_without_a_route_the_base_serves_in_eval_mode_alone(branches):
    assert branches.eval()(torch.ones(2)).tolist() == [1.0, 1.0]
    with refused(ConfigError, "woman, man, kid", "routed"):
        branches.train()(torch.ones(2))


def test_recomputing_in_the_backward_pass_does_not_take_the_wrong_branch():
    """A checkpoint computes again when no route is set any more: the base's branch would get the group's gradient."""
    branches = Branches("woman", {group: nn.Linear(1, 1) for group in ("woman", "man")})
    x = torch.ones(1, 1, requires_grad=True)
    with routed(("man",)):
        y = checkpoint(branches, x, use_reentrant=False)
    with refused(ConfigError, "woman, man", "routed", "checkpoint"):
        y.backward()

    def in_its_own_block(x):
        with routed(("man",)):
            return branches(x)

    checkpoint(in_its_own_block, x, use_reentrant=False).backward()
    assert branches.branches["man"].weight.grad is not None
    assert branches.branches["woman"].weight.grad is None


def test_routes_nest_and_are_put_back_after_an_error(branches):
    with routed(("man",)):
        with pytest.raises(RuntimeError), routed(("kid",)):
            raise RuntimeError
        assert branches(torch.ones(1)).tolist() == [10.0]


def test_an_unknown_group_names_the_nearest(branches):
    with refused(ConfigError, "kids", "kid"), routed(("kids",)):
        branches(torch.ones(1))


def test_branch_copies_the_outermost_matches_only():
    module = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    branch(module, ("0", "0.*"), "woman", ["man"])
    assert [name for name, m in module.named_modules() if isinstance(m, Branches)] == ["0"]
    x = torch.randn(4, 2)
    with routed(("man", "woman", "man", "man")):
        mixed = module(x)
    assert torch.equal(mixed, module.eval()(x))


def test_branching_again_adds_groups():
    module = nn.Sequential(nn.Linear(2, 2))
    branch(module, ("0",), "woman", ["man"])
    branch(module, ("0",), "woman", ["kid"])
    assert list(module[0].branches) == ["woman", "man", "kid"]


def test_no_name_of_torch_can_name_a_group():
    for name in dir(nn.ModuleDict()):
        with pytest.raises(ConfigError) as error:  # other names with another torch
            check_group_name(name)
        mentions(str(error.value), name)


def test_nothing_to_branch_is_an_error():
    with refused(ConfigError, "up.*"):
        branch(nn.Sequential(nn.ReLU()), ("up.*",), "woman", ["man"])


def test_parameters_are_divided_without_overlap():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert not has_branches(module)
    branch(module, ("0",), "woman", ["man", "kid"])
    own, rest = branch_parameters(module, ["man", "kid"]), parameters_without(module, ["man", "kid"])
    assert has_branches(module)
    assert (len(own), len(rest)) == (4, 4)
    assert {id(p) for p in own + rest} == {id(p) for p in module.parameters()}


@pytest.mark.parametrize("groups", [("woman", "woman", "man", "kid"), ("kid", "woman", "man", "woman")])
def test_no_gradient_as_large_as_the_batch_is_made_for_each_group(branches, groups):
    """A slice for each group would fill such a gradient with zeros, and add it to those of the other groups."""
    x = torch.rand(4, 3, requires_grad=True)
    with routed(groups):
        total = branches(x, x).sum()
    total.backward()
    found = graph(total.grad_fn)
    assert "SliceBackward0" not in found
    assert found.count("_SortedBackward") == (0 if groups[0] == "woman" else 3)  # two inputs sorted, one result back
    factors = torch.tensor([{"woman": 1.0, "man": 10.0, "kid": 100.0}[group] for group in groups])
    torch.testing.assert_close(x.grad, (factors + 1)[:, None].expand(4, 3))


def graph(node):
    """Return the name of every operation of a graph."""
    seen, left = {}, [node]
    while left:
        node = left.pop()
        if node not in seen:
            seen[node] = node.name()
            left += [following for following, _ in node.next_functions if following is not None]
    return list(seen.values())
