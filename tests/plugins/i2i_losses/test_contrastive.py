from __future__ import annotations

import copy
import math

import pytest
import torch

from i2i.config.options import merge
from i2i.errors import ConfigError
from i2i_losses.contrastive import Projection, contrast
from tests.training.test_step import base_training
from tests.wording import refused


@pytest.fixture
def contrastive(tiny):
    return merge(
        tiny, {"loss": {"patch_nce": 1.0, "cycle": 0, "identity": 0, "cam": 0}, "backbone": {"name": "cyclegan"}}
    )


def test_contrast_by_hand():
    # patch 0 finds its key (similarity 1 against 0), patch 1 finds the other's (0 against 1); temperature 1/2
    queries = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert contrast(queries, keys, 0.5).tolist() == pytest.approx([(right + wrong) / 2])


def test_patches_are_contrasted_only_within_an_image():
    queries, keys = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    together = contrast(queries, keys, 0.07)
    assert together[1:2].tolist() == pytest.approx(contrast(queries[1:2], keys[1:2], 0.07).tolist())


def test_projections_lie_on_the_unit_sphere():
    projected = Projection(3, 8)(torch.randn(2, 5, 3))
    torch.testing.assert_close(projected.norm(dim=-1), torch.ones(2, 5))


def test_contrasting_an_image_with_itself_gives_the_lowest_loss(contrastive, registry):
    training = base_training(contrastive, registry)
    passes = training._generate(("woman", "woman"))
    loss = training.losses["patch_nce"]
    other = loss.generator(passes)
    passes.encoded = {domain: passes.fake[domain].encoded for domain in "ab"}
    itself = loss.generator(passes)
    assert other.shape == itself.shape == (2,)
    assert (itself < other).all()


def test_projections_are_trained_with_the_generators_and_resume(contrastive, registry):
    training = base_training(contrastive, registry)
    before = {name: tensor.clone() for name, tensor in training.heads.state_dict().items()}
    assert {name.split(".")[1] for name in before} == {"a", "b"}
    assert len({name.rpartition(".layers")[0] for name in before}) == 2 * 5  # five maps of each ResNet
    assert training.step()["generator/patch_nce"] > 0
    after = training.heads.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in before.items())
    weights, state, progress = copy.deepcopy((training.backbone.state_dict(), training.state(), training.progress()))
    expected = training.step()
    again = base_training(contrastive, registry)
    again.backbone.load_state_dict(weights)
    again.restore(state, progress)
    assert again.step() == expected


def test_a_generator_without_an_encoding_is_refused(tiny, registry):
    from i2i.contracts.generator import Generator, Translation
    from i2i.hooks import hookimpl
    from i2i.models.assembly import resolve
    from i2i.registry.registry import Registry

    class Flat(Generator):
        name = "flat"

        def forward(self, x):
            return Translation(x)

    class Providing:
        @hookimpl
        def register_generators(self):
            return [Flat]

    known = Registry()
    known.add(Providing(), "flat")
    given = {"generator": {"name": "flat"}, "backbone": {"name": "cyclegan"}, "loss": {"patch_nce": 1.0}}
    with refused(ConfigError, "patch_nce", "encoded", "flat"):
        resolve(given, known)
