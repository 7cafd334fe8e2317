"""Every backbone with every transfer, and every part in every backbone, over all that is registered, strangers' too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from i2i import Backbone, Discriminator, Generator, Transfer
from i2i.compute.engine import Engine
from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.contracts.transfer import NoTransfer
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.testing import SIZE, Noise
from i2i.training.loader import Loader
from i2i.training.step import Training
from tests.wording import refused

GROUPS = ("woman", "man", "kid")
INSTALLED = Registry()
TWO_GENERATORS = [name for name in INSTALLED.names(Backbone) if not INSTALLED.get(Backbone, name).requires]


@pytest.fixture
def data(tmp_path) -> Noise:
    return Noise(tmp_path, GROUPS)


@pytest.mark.parametrize("transfer", INSTALLED.names(Transfer))
@pytest.mark.parametrize("backbone", INSTALLED.names(Backbone))
def test_every_backbone_with_every_transfer(data, backbone, transfer) -> None:
    model = trained(data, {"backbone": {"name": backbone}, "transfer": {"name": transfer}}, GROUPS[1:], steps=3)
    images = [model.translate(torch.zeros(1, 3, SIZE, SIZE), group) for group in model.groups]
    assert all(image.shape == (1, 3, SIZE, SIZE) and image.isfinite().all() for image in images)


@pytest.mark.parametrize("generator", INSTALLED.names(Generator))
@pytest.mark.parametrize("backbone", TWO_GENERATORS)
def test_every_generator_in_every_two_generator_backbone(data, backbone, generator) -> None:
    given = {"backbone": {"name": backbone}, "generator": {"name": generator}}
    provides = INSTALLED.get(Generator, generator).provides
    without = (
        {"loss": {"cam": 0}} if "cam" not in provides and "cam" in INSTALLED.get(Backbone, backbone).objective else {}
    )
    trained(data, merge(given, without), GROUPS[1:])


@pytest.mark.parametrize("discriminator", INSTALLED.names(Discriminator))
@pytest.mark.parametrize("judge", ["branched", "classification"])
@pytest.mark.parametrize("backbone", INSTALLED.names(Backbone))
def test_every_discriminator_in_every_backbone(data, backbone, discriminator, judge) -> None:
    own = {"name": discriminator}
    if discriminator == "timm":
        own |= {"weights": "random"}
    given = {"backbone": {"name": backbone}, "discriminator": own, "transfer": {"judge": judge}}
    trained(data, given, GROUPS[1:])


def test_a_part_without_what_the_backbone_requires_is_refused() -> None:
    requiring = [name for name in INSTALLED.names(Backbone) if INSTALLED.get(Backbone, name).requires]
    for name in requiring:
        with refused(ConfigError, name, "latent", "resnet"):
            resolve({"backbone": {"name": name}, "generator": {"name": "resnet"}}, INSTALLED)


def trained(data: Noise, given: dict[str, Any], groups: tuple[str, ...], steps: int = 1) -> Model:
    """Build the smallest model, adapt it, and take steps; the losses must be finite and something must change."""
    seed_everything(0)
    chosen = resolve(merge({"size": SIZE, "batch_size": 2, "backbone": {"channels": 4}}, given), INSTALLED)
    model = Model(chosen, data.base, groups)
    transfer = model.transfer or NoTransfer(NoTransfer.Config(), data.base, ())
    training = Training(
        model.backbone, transfer, chosen.build_losses(transfer.provides), Loader(data, SIZE, 0), Engine("cpu"),
        steps=10, batch_size=2, seed=0, pretrained=PretrainedNetworks(chosen.registry),
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in model.backbone.generators.named_parameters()}
    reports = [training.step() for _ in range(steps)]
    assert np.isfinite([value for report in reports for value in report.values()]).all()
    assert any(not torch.equal(before[name], now) for name, now in model.backbone.generators.named_parameters())
    return model
