from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.config.options import merge
from i2i.contracts.branches import Branches
from i2i.contracts.domains import DOMAINS, Batch
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import BackboneTests
from i2i_unit.model import UNIT
from i2i_unit.networks import MultiscaleDiscriminator, VariationalGenerator

SMALL = {"size": 32, "backbone": {"name": "unit", "channels": 4}, "generator": {"blocks": 2}}
NEEDS = frozenset({"fake", "cycled", "latent", "reconstructed"})


class TestUNITWithSharedBlocks(BackboneTests):
    backbone = UNIT
    options = {"backbone": {"channels": 4}, "generator": {"blocks": 2, "shared_blocks": 1}}


def model_of(registry: Registry, **given: Any) -> Model:
    return Model(resolve(merge(SMALL, given), registry), "woman")


def batch_of(*groups: str) -> Batch:
    real = {domain: torch.rand(len(groups), 3, 32, 32) * 2 - 1 for domain in DOMAINS}
    return Batch(real, groups)


def test_published_defaults(registry: Registry) -> None:
    config = UNIT.Config()
    assert (config.lr, config.betas, config.weight_decay) == (1e-4, (0.5, 0.999), 1e-4)
    losses = resolve({**SMALL, "preset": "paper"}, registry).losses
    weights = {name: loss.options.weight for name, loss in losses.items() if loss.options.weight}
    expected = {"adversarial": 1, "cycle": 10, "reconstruction": 10, "kl": 0.01, "cycle_kl": 0.01}
    assert {name: weights[name] for name in expected} == expected
    assert set(weights) - set(expected) <= {"group"}  # the default transfer's


def test_paper_preset_has_the_published_networks(registry: Registry) -> None:
    chosen = resolve({"preset": "paper", "backbone": {"name": "unit"}}, registry)
    assert (chosen.config.size, chosen.config.batch_size) == (256, 1)
    assert (chosen.generator.options.channels, chosen.generator.options.blocks) == (64, 4)
    assert chosen.discriminator.options.channels == 64


def test_learning_rate_halves_every_100_000_steps(registry: Registry) -> None:
    backbone = model_of(registry).backbone
    factors = [backbone.lr_factor(step, 1_000_000) for step in (0, 99_999, 100_000, 199_999, 200_000, 500_000)]
    assert factors == [1, 1, 0.5, 0.5, 0.25, 1 / 32]


def test_learning_rate_halves_at_the_given_interval(registry: Registry) -> None:
    backbone = model_of(registry, backbone={"halve_lr_every": 10}).backbone
    assert [backbone.lr_factor(step, 30) for step in (0, 9, 10, 29)] == [1, 1, 0.5, 0.25]


def test_one_sample_of_an_encoding_is_decoded_into_both_domains(registry: Registry) -> None:
    backbone = model_of(registry).backbone.train()
    with torch.no_grad():
        passes = backbone.passes(batch_of("woman", "woman"), NEEDS, ["woman"])
        for domain, other, out, into in (("a", "b", "a2b", "b2a"), ("b", "a", "b2a", "a2b")):
            fake = passes.fake[other]
            assert not torch.equal(fake.sample, fake.latent)
            torch.testing.assert_close(backbone.generators[out].from_latent(fake.sample), fake.image)
            desired = backbone.generators[into].from_latent(fake.sample)
            torch.testing.assert_close(passes.reconstructed[domain], desired)


def test_reencoded_fakes_are_the_latents_of_cycled_images(registry: Registry) -> None:
    backbone = model_of(registry).backbone.train()
    with torch.no_grad():
        passes = backbone.passes(batch_of("woman"), NEEDS, ["woman"])
        expected = backbone.generators["b2a"].encode(passes.fake["b"].image)[-1]
    torch.testing.assert_close(passes.cycled["a"].latent, expected)


def test_only_what_is_needed_is_computed(registry: Registry) -> None:
    backbone = model_of(registry).backbone
    passes = backbone.passes(batch_of("woman"), frozenset({"fake"}), ["woman"])
    assert not passes.reconstructed
    assert not passes.cycled
    assert not backbone.passes(batch_of("woman"), NEEDS, ["woman"]).identity


def test_identity_is_computed_if_a_loss_needs_it(registry: Registry) -> None:
    backbone = model_of(registry).backbone.eval()
    batch = batch_of("woman", "woman")
    with torch.no_grad():
        plain = backbone.passes(batch, NEEDS, ["woman"])
        passes = backbone.passes(batch, NEEDS | {"identity"}, ["woman"])
    torch.testing.assert_close(passes.identity["b"].image, backbone.translate(batch.real["b"]))
    torch.testing.assert_close(passes.reconstructed["a"], plain.reconstructed["a"], rtol=0, atol=1e-5)


def test_every_group_reconstructs_through_its_branches(registry: Registry) -> None:
    model = model_of(registry)
    model.adapt(resolve(merge(SMALL, {"transfer": {"name": "branch"}}), registry), ["man"])
    backbone = model.backbone.eval()
    with torch.no_grad():
        entry = backbone.generators["a2b"].down[0]
        assert isinstance(entry, Branches)
        entry.branches["man"][0].weight.add_(1)
        batch = batch_of("woman", "man")
        both = backbone.passes(batch, NEEDS, model.groups).reconstructed["a"]
        for index, group in enumerate(("woman", "man")):
            real = {domain: images[index : index + 1] for domain, images in batch.real.items()}
            alone = backbone.passes(Batch(real, (group,)), NEEDS, model.groups).reconstructed["a"]
            torch.testing.assert_close(both[index : index + 1], alone, rtol=0, atol=1e-5)
        as_woman = backbone.passes(Batch(batch.real, ("woman",) * 2), NEEDS, model.groups).reconstructed["a"]
    assert not torch.allclose(as_woman[1], both[1], atol=1e-3)


def test_shared_blocks_survive_saving(registry: Registry, tmp_path: Path) -> None:
    model = model_of(registry, generator={"shared_blocks": 1})
    save(model, tmp_path / "model.safetensors")
    generators = load(tmp_path / "model.safetensors", registry).backbone.generators
    assert generators["a2b"].blocks[1] is generators["b2a"].blocks[1]
    assert generators["a2b"].decode[0] is generators["b2a"].decode[0]
    assert generators["a2b"].blocks[0] is not generators["b2a"].blocks[0]
    for key, tensor in model.backbone.generators.state_dict().items():
        assert torch.equal(generators.state_dict()[key], tensor)


def test_shared_blocks_learn_from_both_directions(registry: Registry) -> None:
    backbone = model_of(registry, generator={"shared_blocks": 1}).backbone
    shared = backbone.generators["a2b"].blocks[1].body[0].weight
    gradients = []
    for direction in ("a2b", "b2a"):
        backbone.zero_grad()
        backbone.translate(torch.rand(1, 3, 32, 32), direction).sum().backward()
        gradients.append(shared.grad.clone())
    assert all(gradient.any() for gradient in gradients)
    optimizer = backbone.optimizer([{"params": list(backbone.generators.parameters()), "lr": 1e-4}])
    listed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("backbone", ["cyclegan", "ugatit"])
def test_its_networks_work_in_other_backbones(registry: Registry, backbone: str) -> None:
    given = {
        "size": 32,
        "backbone": {"name": backbone, "channels": 4, "generator": "unit", "discriminator": "multiscale"},
        "loss": {"cam": 0, "latent": 1} if backbone == "ugatit" else {"kl": 0.01},
    }
    model = Model(resolve(given, registry), "woman")
    assert isinstance(model.backbone.generators["a2b"], VariationalGenerator)
    assert isinstance(model.backbone.discriminators["a"], MultiscaleDiscriminator)
