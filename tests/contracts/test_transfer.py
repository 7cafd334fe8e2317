"""What the transfer contract finds for its strategies."""

from __future__ import annotations

import pytest
from torch import nn

from i2i.contracts.branches import Branches
from i2i.contracts.transfer import NoTransfer


@pytest.fixture
def transfer():
    return NoTransfer(NoTransfer.Config(), "woman", ("man", "kid"))


def network() -> nn.Module:
    branches = Branches("woman", {group: nn.Linear(2, 2) for group in ("woman", "man", "kid")})
    return nn.Sequential(nn.Linear(2, 2), branches)


def test_parameters_are_found_once_for_the_networks_prepared(transfer):
    for networks in (network(), network()):
        trunk, branches = networks
        transfer.prepare({"generator": networks, "discriminator": nn.Linear(2, 2)})
        for _ in range(2):
            own = transfer.branch_parameters("generator", ("man", "kid"))
            rest = transfer.parameters_without("generator", ("kid", "man"))
            assert list(map(id, own)) == [id(p) for g in ("man", "kid") for p in branches.branches[g].parameters()]
            assert list(map(id, rest)) == [id(p) for m in (trunk, branches.branches["woman"]) for p in m.parameters()]
            assert list(map(id, transfer.parameters("generator"))) == list(map(id, networks.parameters()))
        assert transfer.branch_parameters("generator", ["kid", "man"]) is own, "looked for once, in whatever order"
