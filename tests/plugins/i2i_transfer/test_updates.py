"""The options ``updates``, ``cam_groups`` and ``trunk`` of `branch`, against the arithmetic as released."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.contracts.branches import branch_parameters, parameters_without
from i2i.contracts.domains import Batch
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.nn.attention import CamHeads
from i2i.training.step import Training
from tests.trainings import training_on

BASE, NEW = "woman", ("man", "kid")
EVERY = (BASE, *NEW)


def prepared(tiny, registry, backbone="ugatit", **options) -> Training:
    """Return the training of an adapted model whose branches differ."""
    seed_everything(0)
    transfer = {"name": "branch", "lr": 1.0, "branch_lr": 1.0, "cam_groups": "all", **options}
    given = merge(tiny, {"backbone": {"name": backbone, "weight_decay": 1e-2}, "transfer": transfer})
    chosen = resolve(given, registry)
    model = Model(chosen, BASE, NEW)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    model.backbone.after_step()  # some have a range
    return training_on(resolve_data(given, registry).build(), model, steps=9, batch_size=1)


def batch_of(training: Training) -> Batch:
    """Return an image of every group in double precision, the base's first."""
    batch = training.loader.batch(EVERY)
    return Batch({domain: x.double() for domain, x in batch.real.items()}, batch.groups)


def update(training: Training, batch: Batch) -> None:
    """Take the generators' part of a step on the batch, in the sub-batches that the transfer draws."""
    passes = []
    for groups in training._draw():
        index = [batch.groups.index(group) for group in groups]
        own = Batch({domain: x[index] for domain, x in batch.real.items()}, groups)
        passes.append(training.backbone.passes(own, training._needs, EVERY))
    training._update("generator", passes)


class Plain:
    """The released second stage: four losses of one batch, and two Adams, for specific and for shared parameters.

    Both sets of gradients are taken at the same weights; the CAM's classifiers are shared parameters, a row a group.
    """

    def __init__(self, training: Training, released: bool) -> None:
        self.backbone, self.losses, self.needs = copy.deepcopy(training.backbone), training.losses, training._needs
        self.released = released
        networks = self.backbone.generators
        heads = {id(p) for m in networks.modules() if isinstance(m, CamHeads) for p in m.parameters()}
        branched = branch_parameters(networks, EVERY)
        self.specific = [p for p in branched if id(p) not in heads]
        self.shared = [*parameters_without(networks, EVERY), *(p for p in branched if id(p) in heads)]
        self.new = [p for p in branch_parameters(networks, NEW) if id(p) not in heads]
        lr = training.backbone.config.lr
        self.adams = [self.backbone.optimizer([{"params": own, "lr": lr}]) for own in (self.shared, self.specific)]

    def step(self, batch: Batch) -> None:
        base, new, cam, group = self.four(batch)
        first = gradients(base + cam, [*self.shared, *self.specific])
        second = gradients(new + group, self.specific)
        if not self.released:
            return self.update({p: total(first[p], second.get(p)) for p in first})
        self.update(first | {p: torch.zeros_like(p) for p in self.new if first[p] is None})
        self.update(second)

    def four(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        passes = self.backbone.passes(batch, self.needs, EVERY)
        self.backbone.judge(passes, "generator")
        found = {name: loss.generator(passes) for name, loss in self.losses.items()}
        terms = {name: self.losses[name].config.weight * term for name, term in found.items()}
        plain = sum(term for name, term in terms.items() if name not in ("cam", "group"))
        nothing = torch.zeros_like(plain)
        cam, group = terms.get("cam", nothing), terms.get("group", nothing)
        return plain[0], plain[1:].mean(), 0.5 * cam.mean(), group.mean()

    def update(self, found: dict[Tensor, Tensor | None]) -> None:
        for parameter, gradient in found.items():
            parameter.grad = gradient
        for adam in self.adams:
            adam.step()
            adam.zero_grad()


def gradients(loss: Tensor, parameters: list[Tensor]) -> dict[Tensor, Tensor | None]:
    """Return None where the loss does not come from the parameter's own group: one batch makes zeros of that."""
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {p: None if g is None or not g.any() else g for p, g in zip(parameters, found, strict=True)}


def total(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return second if first is None else first if second is None else first + second


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        pytest.param("ugatit", {"cam": "group"}, id="ugatit-cam"),  # CycleGAN has no CAM
        *(pytest.param(name, {"judge": "branched"}, id=f"{name}-branched") for name in ("ugatit", "cyclegan")),
        *(pytest.param(name, {}, id=f"{name}-shared") for name in ("ugatit", "cyclegan")),
    ],
)
@pytest.mark.parametrize("updates", ["merged", "released"])
def test_steps_are_those_of_the_released_losses(tiny, registry, backbone, updates, options):
    training = prepared(tiny, registry, backbone, **{"judge": "classification", "updates": updates} | options)
    training.backbone.double().eval()  # power iteration counts calls, which differ here by design
    plain = Plain(training, updates == "released")
    if backbone == "cyclegan":
        plain.new = []  # no term reaches new branches in the first of the two updates, so that they rest
    for batch in [batch_of(training) for _ in range(2)]:
        update(training, batch)
        plain.step(batch)
    expected = dict(plain.backbone.generators.named_parameters())
    for name, parameter in training.backbone.generators.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-9, atol=1e-12, msg=name)


def test_the_cam_term_of_new_groups_reaches_the_encoder_alone(tiny, registry):
    """As released, where the shared decoder learns from the base group alone."""
    training = prepared(tiny, registry)
    passes = training._generate(NEW)
    training._backward("generator", passes)
    networks = training.backbone.generators
    reached = {name for name, p in networks.named_parameters() if p.grad is not None and p.grad.any()}
    trunk = {name.partition(".")[2] for name in reached if "branches" not in name}
    assert {name.partition(".")[0] for name in trunk} == {"blocks", "attention"}
    assert "attention.merge.weight" not in trunk, "logits are read before features are merged"


def test_no_cam_term_means_that_the_trunk_learns_from_the_base_alone(tiny, registry):
    training = prepared(merge(tiny, {"loss": {"cam": 0}}), registry)
    training._backward("generator", training._generate(NEW))
    networks = training.backbone.generators
    assert any(p.grad is not None for p in branch_parameters(networks, NEW))
    assert all(p.grad is None for p in parameters_without(networks, NEW))


@pytest.mark.parametrize(("judge", "factors"), [("classification", (1 / 3, 2 / 3)), ("branched", (1, 1))])
def test_on_shared_discriminators_every_group_counts_alike(tiny, registry, judge, factors):
    training = prepared(tiny, registry, judge=judge)
    for groups, factor in zip(((BASE,), NEW), factors, strict=True):
        (route,) = training.transfer.route("discriminator", groups, {"adversarial": torch.full((len(groups),), 3.0)})
        assert route.loss.item() == pytest.approx(3 * factor)


@pytest.mark.parametrize("cam_groups", ["base", "all"])
def test_a_frozen_trunk_stays_and_heads_of_losses_go_on(tiny, registry, cam_groups):
    training = prepared(merge(tiny, {"loss": {"patch_nce": 1}}), registry, trunk="frozen", cam_groups=cam_groups)
    assert training.heads, "contrastive terms bring projections"
    before = {name: p.detach().clone() for name, p in training.networks("generator").named_parameters()}
    training.step()
    own = training.networks("generator").named_parameters()
    changed = {name for name, p in own if not torch.equal(p, before[name])}
    assert all("branches" in name or name.startswith("heads") for name in changed)
    assert any(name.startswith("heads") for name in changed)


def test_presets(registry):
    quick, paper = (resolve({"preset": preset}, registry).transfer.options for preset in ("quick", "paper"))
    assert (quick.judge, quick.discriminators, quick.updates, quick.cam_groups) == (
        "branched",
        "warm",
        "merged",
        "base",
    )
    released = ("classification", "fresh", "released", "all")
    assert (paper.judge, paper.discriminators, paper.updates, paper.cam_groups) == released
