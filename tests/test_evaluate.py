from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

from i2i.assemble import choose
from i2i.branches import branch_parameters
from i2i.discriminator import Verdict
from i2i.engine import random_state
from i2i.errors import PluginError
from i2i.evaluate import evaluate, overfitting, show
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

        def score(self, case):
            raise ZeroDivisionError("by zero")

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


class HeldOut(Noise):
    """White training images, and held-out ones of a grey of their own; none for the base group."""

    def __init__(self, folder, grey):
        super().__init__(folder, GROUPS)
        self.unseen = folder / "unseen.png"
        Image.new("L", (40, 40), grey).save(self.unseen)
        for path in self.train("man", "b"):
            Image.new("L", (40, 40), 255).save(path)

    def test(self, group, domain):
        return [self.unseen] if (group, domain) == ("man", "b") else []


class Brightness(nn.Module):
    """Judges two scales by brightness, the second half as strongly, and draws a random number."""

    def forward(self, x):
        torch.rand(1)
        assert not self.training
        return Verdict([x[:, :1], x.mean((1, 2, 3), keepdim=True) / 2])


class TestOverfitting:
    @pytest.fixture
    def judged(self, model, monkeypatch):
        model.backbone.discriminators["b"] = Brightness()
        monkeypatch.setattr(model, "translate", lambda x, group: torch.full_like(x, -1.0))
        return model.backbone.train() and model

    @pytest.mark.parametrize(("grey", "figure"), [(255, 0.0), (127.5, 0.5), (0, 1.0)])
    def test_is_how_far_held_out_images_are_from_training_images_on_the_way_to_fakes(
        self, judged, tmp_path, grey, figure
    ):
        assert overfitting(judged, HeldOut(tmp_path, round(grey))) == {"man": pytest.approx(figure, abs=0.01)}

    def test_where_real_and_fake_are_not_told_apart_there_is_none(self, judged, tmp_path, monkeypatch):
        monkeypatch.setattr(judged, "translate", lambda x, group: torch.full_like(x, 0.95))
        assert overfitting(judged, HeldOut(tmp_path, 0)) == {}

    def test_leaves_no_trace(self, judged, tmp_path):
        data, state = HeldOut(tmp_path, 0), random_state()
        overfitting(judged, data)
        assert judged.backbone.training
        assert all(torch.equal(state[name], tensor) for name, tensor in random_state().items())

    def test_asks_each_group_s_own_discriminator(self, model, tmp_path):
        data = HeldOut(tmp_path, 0)
        before = model.backbone.state_dict()
        model.backbone.train()
        figures = []
        for group in ("woman", "man"):
            torch.manual_seed(1)
            with torch.no_grad():
                for parameter in branch_parameters(model.backbone.discriminators, [group]):
                    parameter.add_(torch.randn_like(parameter))
            figures.append(overfitting(model, data))
        assert figures[0] != figures[1]
        assert before.keys() == model.backbone.state_dict().keys()

    def test_judges_no_more_than_asked_for(self, judged, tmp_path):
        sizes = []
        judged.backbone.discriminators["b"].register_forward_pre_hook(
            lambda module, inputs: sizes.append(len(inputs[0]))
        )
        overfitting(judged, HeldOut(tmp_path, 0), count=1)
        assert sizes == [1, 1, 1]
