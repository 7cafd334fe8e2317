"""``group="auto"``: by the group head, by a detector, or a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import torch
from PIL import Image
from torch import Tensor

import i2i
from i2i import Registry, hookimpl
from i2i.config.options import merge
from i2i.contracts.detector import GroupDetector
from i2i.contracts.discriminator import GroupHead
from i2i.errors import ConfigError, PluginError
from i2i.models import checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import installed
from tests.wording import refused

PLUGIN = """
    from i2i import GroupDetector, hookimpl

    class Light(GroupDetector):
        name = {name!r}

        def detect(self, image, groups):
            return "kid" if image.mean() > 0 else groups[0]

    @hookimpl
    def register_detectors():
        return [Light]
"""
DARK_AND_BRIGHT = torch.tensor([-0.8, 0.8])[:, None, None, None].expand(2, 3, 40, 50)


class ByLight(GroupDetector):
    """Bright images are kids."""

    name = "light"

    def detect(self, image: Tensor, groups: Sequence[str]) -> str:
        assert image.shape == (3, 32, 32)
        return "kid" if image.mean() > 0 else groups[0]


@pytest.fixture
def model(tiny, registry) -> Model:
    return made(tiny, registry, "branched")


def made(tiny, registry, judge: str) -> Model:
    given = merge(tiny, {"transfer": {"judge": judge}})
    model = Model(resolve({k: v for k, v in given.items() if k != "data"}, registry), "woman", ("man", "kid"))
    with torch.no_grad():
        for parameter in model.backbone.generators.parameters():  # a new branch is its base's copy
            parameter.uniform_(-0.1, 0.1)
    return model


class Lamp(torch.nn.Module):
    """A head that takes dark images for the base group, bright ones of domain a for the third group."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.zeros(len(x), 3, 1, 1)
        scores[:, self.column] = x.mean((1, 2, 3))[:, None, None]
        return scores


@pytest.fixture
def headed(tiny, registry) -> Model:
    """A model whose group heads see the brightness of an image instead of features."""
    model = made(tiny, registry, "classification")
    for domain, column in (("a", 2), ("b", 1)):
        judge = cast(GroupHead, model.backbone.discriminators[domain])
        judge.heads = torch.nn.ModuleList([Lamp(column)])
        judge.judge.forward = lambda x: i2i.Verdict([x], features=[x])  # type: ignore[method-assign]
    return model


def test_the_head_of_the_source_domain_decides_for_each_image(headed) -> None:
    assert headed.detect(DARK_AND_BRIGHT) == ("woman", "kid")
    assert headed.detect(DARK_AND_BRIGHT, "b2a") == ("woman", "man")
    auto = headed.translate(DARK_AND_BRIGHT, "auto")
    for image, translation, group in zip(DARK_AND_BRIGHT, auto, ("woman", "kid"), strict=True):
        assert torch.equal(translation, headed.translate(image, group))


def test_real_heads_are_asked_with_each_groups_own_judge(tiny, registry) -> None:
    for judge in ("classification", "branched+classification"):
        try:
            model = made(tiny, registry, judge)
        except ConfigError:  # a combination that is not there
            continue
        found = model.detect(torch.rand(5, 3, 32, 32) * 2 - 1)
        assert len(found) == 5
        assert set(found) <= set(model.groups)


def test_a_given_detector_goes_before_the_head(headed, model) -> None:
    for one in (headed, model):
        one.detector = ByLight()
        assert one.detect(DARK_AND_BRIGHT) == ("woman", "kid")
        assert one.detect(Image.new("RGB", (70, 45), "white")) == ("kid",)
    auto = model.translate(Image.new("RGB", (70, 45), "white"), "auto")
    assert auto.tobytes() == model.translate(Image.new("RGB", (70, 45), "white"), "kid").tobytes()


def test_the_only_plugin_serves_where_there_is_no_head(tiny, install) -> None:
    install("my-light", PLUGIN.format(name="light"))
    assert made(tiny, Registry(), "branched").detect(DARK_AND_BRIGHT) == ("woman", "kid")


def test_a_detector_that_is_not_installed_serves_too(tiny) -> None:
    class Provider:
        @hookimpl
        def register_detectors(self):
            return [ByLight]

    registry = Registry()
    registry.add(Provider(), "provider")
    assert made(tiny, registry, "branched").detect(DARK_AND_BRIGHT) == ("woman", "kid")


def test_several_plugins_are_a_question(tiny, install) -> None:
    for name in ("light", "shade"):
        install(f"my-{name}", PLUGIN.format(name=name))
    model = made(tiny, Registry(), "branched")
    with refused(ConfigError, "light", "shade", "--detector light"):
        model.translate(DARK_AND_BRIGHT, "auto")


def test_nothing_that_tells(model, monkeypatch) -> None:
    installed.cache_clear()
    with refused(ConfigError, "--transfer.judge classification", "woman", "man", "kid"):
        model.translate(DARK_AND_BRIGHT, "auto")


def test_a_detector_that_errs(model) -> None:
    model.detector = ByLight()
    model.detector.detect = lambda image, groups: "cat"  # type: ignore[method-assign]
    with refused(PluginError, "light", "cat", "woman", "man", "kid"):
        model.detect(DARK_AND_BRIGHT)


def test_it_is_not_saved(model, tmp_path, registry) -> None:
    model.detector = ByLight()
    checkpoint.save(model, tmp_path / "model.safetensors")
    assert i2i.load(tmp_path / "model.safetensors", registry).detector is None
