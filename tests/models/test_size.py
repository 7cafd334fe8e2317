"""Counting parameters, and networks that no machine holds."""

from __future__ import annotations

import pytest

from i2i.errors import ConfigError
from i2i.models import size
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.models.size import ModelSize
from tests.wording import refused


def test_parameters_of_both_sides(registry, tiny):
    model = Model(resolve({"backbone": {"name": "unit", "channels": 4}, "size": 64}, registry), "woman")
    counted = ModelSize.of(model.backbone)
    sides = (model.backbone.generators, model.backbone.discriminators)
    assert (counted.generators, counted.discriminators) == tuple(
        sum(parameter.numel() for parameter in side.parameters()) for side in sides
    )
    assert counted.total == counted.generators + counted.discriminators


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"backbone": {"channels": 10**9}}, ("generator 'ugatit'", "--backbone.channels (1000000000)")),
        ({"backbone": {"channels": 10**21}}, ("generator 'ugatit'", "--backbone.channels")),
        (
            {"discriminator": {"name": "ugatit", "channels": 10**9}},
            ("discriminator 'ugatit'", "--discriminator.channels (1000000000)"),
        ),
        ({"backbone": {"light": False}, "size": 2**20}, ("generator 'ugatit'", "--size (1048576)")),
    ],
)
def test_a_network_larger_than_the_memory_is_refused(registry, given, named, monkeypatch):
    monkeypatch.setattr(size, "machine_memory", lambda device: 2**35)
    with refused(ConfigError, "32.0 GiB", *named):
        resolve(given, registry)


def test_a_network_of_countless_layers_is_refused_before_it_is_complete(registry, monkeypatch):
    monkeypatch.setattr(size, "MOST_TENSORS", 50)
    with refused(ConfigError, "--generator.blocks (1000000)"):
        resolve({"generator": {"blocks": 10**6}}, registry)


@pytest.mark.parametrize("backbone", ["cyclegan", "unit", "ugatit"])
def test_depths_are_bounded(registry, backbone):
    option = {"cyclegan": "layers", "unit": "scales", "ugatit": "global_layers"}[backbone]
    with refused(ConfigError, option, "1000000"):
        judge = {"cyclegan": "patch", "unit": "multiscale", "ugatit": "ugatit"}[backbone]
        resolve({"backbone": {"name": backbone}, "discriminator": {"name": judge, option: 10**6}}, registry)
