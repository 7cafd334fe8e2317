"""Activation checkpointing: the same gradients from less memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from i2i.contracts.branches import routed
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.nn import SpectralConv2d
from i2i.registry.registry import Registry
from i2i.training.recomputation import recompute
from tests.sampling import sampled
from tests.trainings import published_backbone, training_on

CASES = [
    {"backbone": {"name": "ugatit", "channels": 4, "discriminator": "ugatit"}, "generator": {"blocks": 2}},
    {
        "backbone": {"name": "ugatit", "channels": 4, "discriminator": "ugatit"},
        "transfer": {"name": "branch", "judge": "classification"},
    },
    {
        "backbone": {"name": "ugatit", "channels": 4, "discriminator": "ugatit"},
        "loss": {"adversarial": {"r1": 1.0}},
        "transfer": {"name": "finetune"},
    },
    {"backbone": {"name": "cyclegan", "channels": 4}, "generator": {"blocks": 2}},
    {"backbone": {"name": "cyclegan", "channels": 4}, "generator": {"name": "unet"}},
    {"backbone": {"name": "unit", "channels": 4}, "transfer": {"name": "adapter"}},
    {"backbone": {"name": "photo2cartoon", "channels": 4}},
    {"backbone": {"name": "cyclegan", "channels": 4}, "discriminator": {"name": "patch+patch/2"}, "accumulate": 2},
]


@pytest.fixture(scope="module")
def dataset(folder_root):
    return resolve_data({"data": {"name": "folder", "root": str(folder_root)}}, Registry()).build()


def trained(given, dataset, registry, low_memory):
    """Return the weights and buffers after two steps of a transfer, and the losses of both."""
    options = dict(given)
    accumulate = options.pop("accumulate", 1)
    torch.manual_seed(0)
    model = Model(resolve({"size": 64, **options}, registry), "woman", ["man", "kid"])
    torch.manual_seed(1)
    training = training_on(dataset, model, accumulate=accumulate, low_memory=low_memory)
    losses = [training.step() for _ in range(2)]
    return {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}, losses


@pytest.mark.parametrize("given", sampled(CASES[-1], *CASES[:-1]), ids=str)
def test_steps_are_the_same_to_the_bit(given, dataset, registry):
    desired, losses = trained(given, dataset, registry, low_memory=False)
    actual, same_losses = trained(given, dataset, registry, low_memory=True)
    assert same_losses == losses
    assert actual.keys() == desired.keys()
    assert [name for name in desired if not torch.equal(actual[name], desired[name])] == []


@pytest.mark.parametrize("name", ["ugatit", "cyclegan", "unit", "photo2cartoon"])
def test_stages_keep_a_third_of_the_activations_or_less(name, registry):
    model = Model(resolve({"size": 64, "backbone": published_backbone(registry, name, 8)}, registry), "woman")
    kept = {}
    for low in (False, True):
        if low:
            recompute(model.backbone)
        kept[low] = _kept(model.backbone)
    assert kept[True] < kept[False] / 3


def test_the_mode_of_evaluation_recomputes_nothing(registry):
    model = Model(resolve({"size": 64, "backbone": published_backbone(registry, "ugatit", 4)}, registry), "woman")
    x = torch.rand(1, 3, 64, 64)
    desired = model.translate(x)
    recompute(model.backbone)
    model.backbone.eval()
    assert torch.equal(model.translate(x), desired)


def test_power_iterations_advance_once_per_call():
    network = nn.Sequential(nn.Sequential(SpectralConv2d(3, 4, 3)))
    recompute(network)
    u = network[0][0].u
    result = network(torch.rand(1, 3, 8, 8)).sum()
    after = network[0][0].u.clone()
    result.backward()
    assert not torch.equal(after, u)
    assert torch.equal(network[0][0].u, after)


def _kept(backbone):
    """Return the bytes that one translation and its verdict keep."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with routed(None), saved_tensors_hooks(pack, lambda tensor: tensor):
        image = backbone.generators["a2b"].train()(torch.rand(1, 3, 64, 64)).image
        verdict = backbone.discriminators["b"].train()(image)
    own = {parameter.data_ptr() for parameter in backbone.parameters()}
    assert verdict.logits
    return sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in own)
