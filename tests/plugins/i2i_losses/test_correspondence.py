from __future__ import annotations

import copy
import math

import pytest
import torch

from i2i.training.step import Training
from i2i_losses.correspondence import divergence
from tests.plugins.i2i_transfer.routing import training_of


@pytest.fixture
def training(tmp_path, registry, request) -> Training:
    """Return the training of a transfer with the term, not yet begun."""
    name, options = getattr(request, "param", ("branch", {"samples": 3}))
    return training_of(tmp_path, registry, name, loss={"correspondence": 1.0}, **options)


def test_divergence_by_hand():
    # similarities of sample 0 to 1 and 2: by the anchors 1 and 0, by the features 0 and 1
    anchors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[..., None, None]
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])[..., None, None]
    likely = math.e / (1 + math.e)
    expected = likely * math.log(likely / (1 - likely)) + (1 - likely) * math.log((1 - likely) / likely)
    assert divergence(features, anchors)[0].item() == pytest.approx(expected)
    assert divergence(3 * anchors, anchors).tolist() == pytest.approx([0, 0, 0], abs=1e-7)


@pytest.mark.parametrize(
    "training",
    [("branch", {"samples": 3}), ("finetune", {"samples": 3}), ("adapter", {"samples": 3, "trunk": "all"})],
    ids=["branch", "finetune", "adapter"],
    indirect=True,
)
def test_the_term_is_zero_until_a_group_departs_from_the_base(training):
    term, groups = training.losses["correspondence"], ("man", "kid", "man")
    assert term.generator(training._generate(groups)).abs().max() < 1e-6
    with torch.no_grad():
        for name, parameter in training.backbone.generators.named_parameters():
            if "branches.man" in name:
                parameter += 0.1 * torch.randn_like(parameter)
    departed = term.generator(training._generate(groups))
    assert departed.shape == (3,)
    assert departed.min() > 1e-5


@pytest.mark.parametrize(
    "training",
    [("adapter", {"samples": 3, "form": form, "precision": "bf16"}) for form in ("added", "modulated")],
    ids=["added", "modulated"],
    indirect=True,
)
def test_the_term_works_in_bf16_with_samples_of_all_groups_in_a_batch(training):
    training.transfer.draw = lambda batch_size, rng: [("woman", "man", "kid", "man")]
    assert 0 <= training.step()["generator/correspondence"] < 1e-3


def test_samples_of_the_base_group_are_free(training):
    passes = training._generate(("woman", "man", "woman", "man", "kid"))
    with torch.no_grad():
        for maps in passes.encoded.values():
            maps[0][:] = torch.randn_like(maps[0])
    values = training.losses["correspondence"].generator(passes)
    assert values[[0, 2]].tolist() == [0, 0]
    assert values[[1, 3, 4]].min() > 0


def test_the_base_model_stays_the_measure_after_a_resume(training, tmp_path, registry):
    for _ in range(2):
        assert training.step()["generator/correspondence"] >= 0
    weights, state, progress = copy.deepcopy((training.backbone.state_dict(), training.state(), training.progress()))
    expected = training.step()
    again = training_of(tmp_path, registry, "branch", samples=3, loss={"correspondence": 1.0})
    again.backbone.load_state_dict(weights)
    again.restore(state, progress)
    assert again.step() == expected
    assert not any(parameter.requires_grad for parameter in again.heads["correspondence"].parameters())
