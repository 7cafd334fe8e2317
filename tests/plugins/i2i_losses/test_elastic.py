"""Elastic weight consolidation: what it measures, whom it binds, and that a resumed training goes on with both."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from i2i.contracts.domains import Batch
from i2i.training.step import Training
from i2i_losses import elastic
from i2i_losses.elastic import Anchor
from tests.plugins.i2i_transfer.routing import training_of


class Scaled(nn.Module):
    """A generator with one weight that matters and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.unused = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return SimpleNamespace(image=self.factor * x)


@pytest.fixture
def training(tmp_path, registry, request) -> Training:
    """Return the training of a transfer with the term, not yet begun."""
    name, options = getattr(request, "param", ("branch", {}))
    return training_of(tmp_path, registry, name, loss={"elastic": 1.0}, **options)


def test_the_information_of_a_weight_is_the_mean_square_of_its_gradient():
    anchor = Anchor(nn.ModuleDict({"a2b": Scaled(), "b2a": Scaled()}))
    real = {domain: torch.randn(elastic.SAMPLES, 3, 64, 64) * size for domain, size in (("a", 1.0), ("b", 3.0))}
    anchor.measure(Batch(real, ("man",) * elastic.SAMPLES))
    measured = {name: value.item() / elastic.SAMPLES for name, value in anchor.information.items()}
    pixels = 3 * 64 * 64  # the gradient of image times noise is the sum of source times noise
    assert measured["a2b.factor"] == pytest.approx(pixels, rel=0.5)
    assert measured["b2a.factor"] == pytest.approx(9 * pixels, rel=0.5)
    assert measured["a2b.unused"] == measured["b2a.unused"] == 0
    assert anchor.mean_information().item() == pytest.approx(sum(anchor.information.values()).item() / 4)
    anchor.measure(Batch(real, ("man",) * elastic.SAMPLES))
    assert anchor.information["a2b.factor"].item() == pytest.approx(measured["a2b.factor"] * elastic.SAMPLES)


@pytest.mark.parametrize(
    "training",
    [("branch", {}), ("finetune", {}), ("adapter", {"trunk": "all"}), ("branch", {"backbone": "unit"})],
    ids=["branch", "finetune", "adapter", "unit"],
    indirect=True,
)
def test_the_term_is_the_weighted_square_of_what_a_group_departs_by(training):
    term, passes = training.losses["elastic"], training._generate(("man", "kid", "woman", "man"))
    assert term.generator(passes).tolist() == [0, 0, 0, 0]
    own = [(name, p) for name, p in training.backbone.generators.named_parameters() if "branches.man" in name]
    shared = {name.replace("branches.man.", ""): p for name, p in own if "adapters" not in name}
    with torch.no_grad():
        for _, parameter in own:
            parameter += 0.1
    actual, information = term.generator(passes), term.anchor.information
    expected = sum(0.01 * information[name].sum() for name in shared) / term.anchor.mean_information()
    assert actual.tolist() == pytest.approx([expected.item(), 0, 0, expected.item()], rel=1e-3)
    assert expected > 0


def test_it_holds_weights_back_in_bf16_too(tmp_path, registry):
    def departure(training):
        before = {name: weight.detach().clone() for name, weight in training.backbone.generators.named_parameters()}
        for _ in range(3):
            training.step()
        after = training.backbone.generators.named_parameters()
        return sum((weight - before[name]).abs().sum().item() for name, weight in after)

    free, held = (
        training_of(tmp_path, registry, "finetune", precision="bf16", loss={"elastic": weight}) for weight in (0.0, 1e4)
    )
    assert 0 < departure(held) < 0.9 * departure(free)


def test_weights_and_their_information_stay_after_a_resume(training, tmp_path, registry):
    for _ in range(2):
        training.step()
    weights, state, progress = copy.deepcopy((training.backbone.state_dict(), training.state(), training.progress()))
    expected = training.step()
    assert expected["generator/elastic"] > 0
    again = training_of(tmp_path, registry, "branch", loss={"elastic": 1.0})
    again.backbone.load_state_dict(weights)
    again.restore(state, progress)
    assert again.step() == expected
    assert not any(parameter.requires_grad for parameter in again.heads["elastic"].parameters())
