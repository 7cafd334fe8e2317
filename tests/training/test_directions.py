"""Both directions at the same time: the same bytes as one after the other."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from i2i.compute.threads import kept_threads
from i2i.contracts.backbone import Backbone
from i2i.contracts.domains import DOMAINS
from i2i.hooks import hookimpl
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.training.augmentation import DiffAugment
from tests.sampling import sampled
from tests.trainings import published_backbone, training_on

CASES = [
    {"backbone": "ugatit"},
    {"backbone": "ugatit", "transfer": {"name": "branch", "judge": "classification", "updates": "released"}},
    {"backbone": "ugatit", "loss": {"adversarial": {"r1": 1.0}}, "transfer": {"name": "finetune"}},
    {"backbone": "ugatit", "augment": "diffaugment", "transfer": {"name": "adapter"}},
    {"backbone": "cyclegan", "accumulate": 2},
    {"backbone": "cyclegan", "loss": {"patch_nce": 1.0}},
    {"backbone": "photo2cartoon"},
    {"backbone": "unit", "generator": {"noise": 0}},
]


@pytest.fixture(scope="module")
def dataset(folder_root):
    return resolve_data({"data": {"name": "folder", "root": str(folder_root)}}, Registry()).build()


def trained(given, dataset, registry, threads):
    """Return the weights and buffers after three steps, their losses, and the threads that ran the generators."""
    options = {"channels": 4, "accumulate": 1, "augment": "none", **given}
    accumulate, augment = options.pop("accumulate"), options.pop("augment")
    options["backbone"] = published_backbone(registry, options.pop("backbone"), options.pop("channels"))
    with kept_threads():
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        model = Model(
            resolve({"size": 64, **options}, registry), "woman", ["man", "kid"] if "transfer" in options else ()
        )
        torch.manual_seed(1)
        augmentation = DiffAugment() if augment == "diffaugment" else None
        training = training_on(dataset, model, accumulate=accumulate, augmentation=augmentation)
        used = set()
        for network in (*model.backbone.generators.values(), *model.backbone.discriminators.values()):
            network.register_forward_hook(lambda *_: used.add(threading.get_ident()))
        losses = [training.step() for _ in range(3)]
    return {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}, losses, len(used)


@pytest.mark.parametrize("given", sampled(CASES[1], CASES[0], *CASES[2:]), ids=str)
def test_two_threads_give_the_bytes_of_one(given, dataset, registry):
    desired, losses, one = trained(given, dataset, registry, threads=1)
    actual, same_losses, two = trained(given, dataset, registry, threads=2)
    assert (one, two) == (1, 2)
    assert same_losses == losses
    assert all(torch.equal(tensor, desired[name]) for name, tensor in actual.items())


def test_stochastic_generators_run_in_turn_and_give_the_same_bytes_twice(dataset, registry):
    given = {"backbone": "unit"}
    desired, losses, _ = trained(given, dataset, registry, threads=2)
    actual, same_losses, used = trained(given, dataset, registry, threads=2)
    assert used == 2  # of the discriminators
    assert same_losses == losses
    assert all(torch.equal(tensor, desired[name]) for name, tensor in actual.items())


@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"low_memory": True}], ids=str)
def test_directions_run_in_turn_where_state_belongs_to_a_thread(options, dataset, registry):
    given = {"size": 64, "backbone": published_backbone(registry, "cyclegan", 4)}
    with kept_threads():
        torch.set_num_threads(2)
        training = training_on(dataset, Model(resolve(given, registry), "woman"), **options)
        used = set()
        training.backbone.generators["b2a"].register_forward_hook(lambda *_: used.add(threading.get_ident()))
        training.step()
    assert used == {threading.get_ident()}


class Joined(Backbone):
    """The parts of U-GAT-IT, with a graph that both directions share."""

    name = "joined"
    objective = {"adversarial": 1.0, "cycle": 10.0}

    class Config(Backbone.Config):
        generator: str = "resnet"
        discriminator: str = "patch"

    def passes(self, batch, needs, groups):
        passes = super().passes(batch, needs, groups)
        both = sum(passes.fake[domain].image.mean() for domain in DOMAINS)
        for domain in DOMAINS:
            passes.fake[domain] = replace(passes.fake[domain], image=passes.fake[domain].image + both)
        return passes


class Provider:
    """A plugin with this backbone."""

    @hookimpl
    def register_backbones(self):
        return [Joined]


def test_directions_that_share_a_graph_are_back_propagated_together(dataset):
    registry = Registry()
    registry.add(Provider(), "provider")
    weights, losses, _ = trained({"backbone": "joined"}, dataset, registry, threads=2)
    same_weights, same_losses, _ = trained({"backbone": "joined"}, dataset, registry, threads=2)
    assert same_losses == losses
    assert all(torch.equal(tensor, weights[name]) for name, tensor in same_weights.items())
    _, in_turn, _ = trained({"backbone": "joined"}, dataset, registry, threads=1)
    assert losses[-1] == pytest.approx(in_turn[-1], rel=1e-5)


def test_gradients_through_cut_passes_are_those_of_the_whole_graph(dataset, registry):
    given = {"size": 64, "backbone": published_backbone(registry, "ugatit", 4)}
    training = training_on(dataset, Model(resolve(given, registry), "woman"))
    passes = training._generate(("woman", "woman"))
    training.backbone.judge(passes, "generator")
    parameters = list(training.backbone.generators.parameters())

    def total(of):
        return sum(loss.generator(of).sum() for loss in training.losses.values())

    desired = torch.autograd.grad(total(passes), parameters, retain_graph=True, allow_unused=True)
    cut = training._directions.cut(passes, "generator")
    assert all(leaf.is_leaf for leaf in cut.leaves)
    assert len(cut.graphs) == 2
    total(cut.passes).backward(inputs=[*parameters, *cut.leaves])
    assert all(parameter.grad is None for parameter in parameters)
    training._directions.backward(cut.graphs, parameters, retain_graph=False)
    actual = [parameter.grad for parameter in parameters]
    torch.testing.assert_close(actual, list(desired), atol=1e-6, rtol=1e-5)
    assert all(leaf.grad is None for leaf in cut.leaves)
