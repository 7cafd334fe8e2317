from __future__ import annotations

import pytest
import torch
from PIL import Image

from i2i.assemble import choose
from i2i.branches import branch_parameters
from i2i.errors import PluginError
from i2i.evaluate import evaluate, show
from i2i.hookspecs import hookimpl
from i2i.metric import Metric
from i2i.model import Model
from i2i.plugins import Registry
from i2i.testing import Noise

GROUPS = ("woman", "man")


class Paired(Noise):
    """Noise whose training images are also its held-out pairs."""

    def pairs(self, group):
        return list(zip(self.train(group, "a"), self.train(group, "b"), strict=True))


@pytest.fixture
def data(tmp_path):
    return Paired(tmp_path, GROUPS)


@pytest.fixture
def model(tiny, registry):
    torch.manual_seed(0)
    return Model(choose(tiny, registry), "woman", ["man"])


def scatter(model, group):
    with torch.no_grad():
        for parameter in branch_parameters(model.backbone.generators, [group]):
            parameter.add_(torch.randn_like(parameter))


def test_every_group_is_scored_by_its_own_branch(model, data, registry):
    before = evaluate(model, data, registry)
    scatter(model, "man")
    after = evaluate(model, data, registry)
    assert after["woman"] == before["woman"]
    assert after["man"] != before["man"]
    assert {score.n for own in after.values() for score in own.values()} == {2}


def test_every_group_is_shown_by_its_own_branch(model, data):
    before = show({"translation": model}, data)
    scatter(model, "man")
    after = show({"translation": model}, data)
    same = [_pixels(old.rows[1][1]) == _pixels(new.rows[1][1]) for old, new in zip(before, after, strict=True)]
    assert same == [True, False]
    assert [label for label, _ in after[0].rows] == ["source", "translation", "true drawing"]


def test_a_base_model_stands_in_for_groups_it_does_not_know(tiny, registry, data):
    base = Model(choose(tiny, registry), "woman")
    assert set(evaluate(base, data, registry)) == set(GROUPS)


def test_groups_without_pairs_have_no_scores(model, tmp_path, registry):
    assert evaluate(model, Noise(tmp_path, GROUPS), registry) == {}


def _pixels(images: list[Image.Image]) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_a_metric_that_raises_is_named(model, data):
    class Nervous(Metric):
        name = "nervous"

        def update(self, real, fake, source):
            raise ZeroDivisionError("by zero")

        def compute(self):
            raise NotImplementedError

    class Provider:
        @hookimpl
        def register_metrics(self):
            return [Nervous]

    registry = Registry()
    registry.add(Provider(), "nerves")
    with pytest.raises(PluginError) as error:
        evaluate(model, data, registry)
    assert str(error.value).startswith(
        "Plugin 'nerves' (this process) failed in metric 'nervous': ZeroDivisionError: by zero. Mend or uninstall it"
    )
