from __future__ import annotations

import copy

import pytest
import torch

from i2i.contracts.branches import routed
from i2i.exchange.exporting import only
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i_transfer.copies import GeneratorCopies


@pytest.fixture(params=["finetune", "freeze-d"])
def training(request, prepare):
    return prepare(request.param)


def test_a_whole_generator_a_group(training):
    for copies in training.backbone.generators.values():
        assert isinstance(copies, GeneratorCopies)
        own = {group: {id(p) for p in network.parameters()} for group, network in copies.branches.items()}
        assert set(own) == {"woman", "man", "kid"}
        assert not (own["woman"] & own["man"]) | (own["man"] & own["kid"])


def test_copies_answer_for_the_base_groups_generator(training):
    copies = training.backbone.generators["a2b"]
    base = copies.branches["woman"]
    assert (copies.name, copies.multiple_of, copies.fixed_size) == ("ugatit", 4, False)
    assert copies.config is base.config
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        copies.nonsense  # noqa: B018
    assert copy.deepcopy(copies).branches["man"].config == base.config


def test_each_sample_is_encoded_by_its_own_copy(training):
    copies = training.backbone.generators["a2b"].eval()
    with torch.no_grad():
        next(copies.branches["man"].parameters()).mul_(2)
    x = torch.rand(2, 3, 32, 32)
    with routed(("man", "woman")):
        maps = copies.encode(x)
    for index, group in enumerate(("man", "woman")):
        alone = copies.branches[group].encode(x[index : index + 1])
        for map_, expected in zip(maps, alone, strict=True):
            torch.testing.assert_close(map_[index : index + 1], expected)


def test_a_copy_can_be_taken_out(training):
    with torch.no_grad():
        next(training.backbone.generators["a2b"].branches["man"].parameters()).mul_(2)
    model, x = training.model, torch.rand(1, 3, 32, 32) * 2 - 1
    single = only(model, "man")
    assert torch.equal(single.translate(x), model.translate(x, "man"))
    assert not torch.equal(single.translate(x), model.translate(x, "woman"))
    assert type(single.backbone.generators["a2b"]).__name__ == "AttentionGenerator"


def test_copies_of_generators_that_share_blocks_share_them_among_themselves(registry):
    given = {"size": 32, "backbone": {"name": "unit", "channels": 4}, "generator": {"blocks": 1, "shared_blocks": 1}}
    model = Model(resolve({**given, "transfer": {"name": "finetune"}}, registry), "woman", ["man"])
    there, back = (model.backbone.generators[direction].branches for direction in ("a2b", "b2a"))
    for group in ("woman", "man"):
        assert there[group].blocks[0] is back[group].blocks[0]
    assert there["man"].blocks[0] is not there["woman"].blocks[0]


def test_rho_of_every_copy_stays_in_range(training):
    copies = training.backbone.generators["a2b"]
    rhos = [p for name, p in copies.named_parameters() if name.endswith("rho")]
    with torch.no_grad():
        for rho in rhos:
            rho.fill_(3)
    training.backbone.after_step()
    assert len(rhos) > 3
    assert all(rho.max() == 1 for rho in rhos)


@pytest.mark.parametrize(("frozen", "deep", "shallow"), [(None, 3, 2), (1, 4, 3), (3, 2, 1)])
def test_frozen_layers_have_no_copies(prepare, frozen, deep, shallow):
    """At 32 px the global discriminator has five layers, with its attention, and the local one four."""
    training = prepare("freeze-d", **({} if frozen is None else {"frozen_layers": frozen}))
    own = [name for name, _ in training.backbone.discriminators["a"].named_modules() if name.endswith("branches.man")]
    assert [sum(part in name for name in own) for part in ("global", "local")] == [deep, shallow]
