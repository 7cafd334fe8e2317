"""Discriminators made of several registered ones."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from i2i.contracts.discriminator import Discriminator, GroupHead, Verdict
from i2i.errors import ConfigError, UnknownComponentError
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i.models.parts import find_discriminator
from tests.wording import refused

THREE = "timm+patch+patch/2"
SMALL = {
    "timm": {"network": "test_resnet", "weights": "random"},
    "patch": {"layers": 2},
    "patch_2": {"channels": 3, "layers": None},
}


def chosen(registry, name=THREE, **options):
    given = {"size": 32, "backbone": {"channels": 4}, "generator": {"blocks": 1}}
    return resolve({**given, "discriminator": {"name": name, **SMALL, **options}}, registry)


@pytest.fixture
def judge(registry):
    return chosen(registry).build_discriminator().eval()


def test_every_part_judges_at_its_own_scale(judge):
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    verdict = judge(x)
    timm, patch, half = judge.parts.values()
    expected = [*timm(x).logits, *patch(x).logits, *half(F.avg_pool2d(x, 2)).logits]
    assert len(verdict.logits) == 6
    assert all(torch.equal(actual, desired) for actual, desired in zip(verdict.logits, expected, strict=True))
    assert judge.feature_channels == tuple(own.shape[1] for own in verdict.features) == (4, 4, 4, 4, 16, 6)
    assert verdict.weights == []
    assert len(GroupHead(judge, 3)(x).group_logits) == 6


def test_parts_have_their_own_options_and_take_the_rest_from_the_whole(judge):
    timm, patch, half = judge.parts.values()
    assert (timm.config.network, timm.config.channels, timm.config.size) == ("test_resnet", 4, 32)
    assert (patch.config.layers, patch.config.channels, patch.config.size) == (2, 4, 32)
    assert (half.config.layers, half.config.channels, half.config.size) == (None, 3, 16)
    assert half.note in judge.note


def test_options_say_what_they_are_without_being_given(registry):
    options = find_discriminator("timm+patch", registry).Config.model_fields["patch"].annotation.model_fields
    assert options["minibatch_std"].description.endswith("[false if not given]")
    assert options["channels"].description.endswith("[as the whole if not given]")
    assert "if not given" not in options["layers"].description  # which depend on the size


def test_keys_are_stable_and_branch_points_those_of_the_parts(judge):
    assert {".".join(key.split(".")[:2]) for key in judge.state_dict()} == {
        "parts.timm",
        "parts.patch",
        "parts.patch_2",
    }
    assert judge.branch_points == ("parts.timm.heads.*", "parts.patch.*", "parts.patch_2.*")
    assert judge.published_keys() == {}


def test_weights_are_those_of_the_parts_for_logits_and_then_cam_logits(registry):
    options = {"ugatit": {"weight": 0.5}, "pixel_2": {"weight": 2}}
    given = {"size": 32, "backbone": {"channels": 4}, "discriminator": {"name": "ugatit+pixel/2", **options}}
    verdict = resolve(given, registry).build_discriminator()(torch.zeros(1, 3, 32, 32))
    assert (len(verdict.logits), len(verdict.cam_logits)) == (3, 2)
    assert verdict.weights == [0.5, 0.5, 2, 0.5, 0.5]


def test_a_weight_is_a_factor_on_the_adversarial_term(registry):
    from i2i_losses.terms import _judge

    logits, cams = [torch.ones(2, 1, 1, 1), torch.full((2, 1, 3, 3), 2.0)], [torch.full((2, 2), 3.0)]
    assert _judge(Verdict(logits, cams), torch.square).tolist() == [14, 14]
    assert _judge(Verdict(logits, cams, weights=[1, 0.5, 2]), torch.square).tolist() == [21, 21]


def test_a_model_is_described_saved_and_loaded(registry, tmp_path):
    parts = chosen(registry, patch_2={"weight": 0.5})
    assert parts.providers["discriminator"] == "i2i 0.1.0"
    again = resolve(parts.config.model_dump(mode="json"), registry)
    assert again.discriminator.options.model_dump() == parts.discriminator.options.model_dump()
    model = Model(parts, "woman")
    save(model, tmp_path / "model.safetensors")
    loaded_model = load(tmp_path / "model.safetensors", registry)
    loaded_model.read_judges()
    loaded = loaded_model.backbone.state_dict()
    assert all(torch.equal(tensor, loaded[key]) for key, tensor in model.backbone.state_dict().items())


def test_a_part_without_features_leaves_none_to_tell_groups_by(registry, monkeypatch):
    monkeypatch.setattr(
        registry.get(Discriminator, "pixel"), "__init__", _featureless(registry.get(Discriminator, "pixel"))
    )
    joined = find_discriminator("patch+pixel", registry)
    judge = joined(joined.Config(size=32, channels=4))
    judge.assemble(registry)
    assert (judge.feature_channels, judge(torch.zeros(1, 3, 32, 32)).features) == ((), [])
    with pytest.raises(ConfigError, match=r"'patch\+pixel' has no features"):
        GroupHead(judge, 2)


def test_a_name_without_plus_or_scale_is_the_registered_one(registry):
    assert find_discriminator("patch", registry) is registry.get(Discriminator, "patch")
    assert find_discriminator("patch/2", registry).name == "patch/2"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("timm+patsh", UnknownComponentError, "'timm+patsh': There is no discriminator 'patsh'. Did you mean 'patch'?"),
        ("patch+patch", ConfigError, "'patch+patch' has the part 'patch' twice. Give one another scale, such as /2."),
        ("patch+", ConfigError, "has a part '' that cannot be read. Join names by +, and write /2 after"),
        ("patch/0", ConfigError, "has a part 'patch/0' that cannot be read"),
    ],
)
def test_a_wrong_name_is_explained(registry, name, error, message):
    with pytest.raises(error, match=re.escape(message)):
        chosen(registry, name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": {"layerz": 2}}, "has no option 'layerz'. Did you mean 'layers'?"),
        ({"pach": {"layers": 2}}, "has no option 'pach'. Did you mean 'patch'?"),
        ({"patch": {"weight": -1}}, "'patch.weight' cannot be -1"),
        ({"patch_2": {"layers": 5}}, "'patch' with 5 layers leaves nothing of 16 px"),
    ],
)
def test_wrong_options_are_explained(registry, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        chosen(registry, **options)


def test_an_error_of_a_part_names_the_parts_option(registry):
    timm = {**SMALL["timm"], "scales": 30}
    with refused(ConfigError, "--discriminator.timm.scales", 30):
        chosen(registry, timm=timm).build_discriminator()


def _featureless(component):
    constructor = component.__init__

    def construct(self, config):
        constructor(self, config)
        self.feature_channels = ()

    return construct
