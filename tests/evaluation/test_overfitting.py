from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

from i2i.compute.randomness import random_state
from i2i.contracts.branches import branch_parameters
from i2i.contracts.discriminator import Verdict
from i2i.evaluation.overfitting import overfitting
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.testing import Noise

GROUPS = ("woman", "man")


@pytest.fixture
def model(tiny, registry):
    torch.manual_seed(0)
    return Model(resolve(tiny, registry), "woman", ["man"])


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
