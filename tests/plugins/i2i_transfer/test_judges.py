from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from i2i.config.options import merge
from i2i.contracts.branches import Branches, branch_parameters, keep_branch, routed
from i2i.contracts.discriminator import Discriminator, GroupHead, Verdict
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i_transfer.copies import FreezeD
from i2i_transfer.judges import GroupProjection, appoint
from i2i_transfer.layers import layers, upper
from tests.wording import refused


class Two(Discriminator):
    """Two scales of two layers each, and a frozen one below them."""

    name = "two"
    feature_channels = (2, 2)

    branch_points = ("scales.*",)

    def __init__(self, config: Discriminator.Config) -> None:
        super().__init__(config)
        self.below = nn.Conv2d(3, 3, 1).requires_grad_(False)
        self.scales = nn.ModuleList(Scale() for _ in range(2))

    def forward(self, x: Tensor) -> Verdict:
        logits, features = zip(*(scale(self.below(x)) for scale in self.scales), strict=True)
        return Verdict(list(logits), features=list(features))


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(2, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.first(x)
        return self.last(features), features


@pytest.fixture
def judge() -> Two:
    torch.manual_seed(0)
    return Two(Two.Config())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patch", [["stages.0.0", "stages.1.0", "stages.2.0", "head"]]),
        ("pixel", [["stages.0.0", "stages.1.0", "head"]]),
        ("multiscale", [[f"scales.{i}.{layer}" for layer in ("stages.0.0", "stages.1.0", "head")] for i in range(2)]),
    ],
)
def test_layers_from_the_image_on(registry, name, expected):
    component = registry.get(Discriminator, name)
    options = {"scales": 2, "layers": 2} if name == "multiscale" else {}
    assert layers(component(component.Config(size=32, channels=4, **options))) == expected


def test_layers_of_the_attention_discriminators(registry):
    component = registry.get(Discriminator, "ugatit")
    found = layers(component(component.Config(size=32, channels=4)))
    assert [part[0] for part in found] == ["parts.global.model.0.1", "parts.local.model.0.1"]
    assert [part[-2:] for part in found] == [[f"parts.{p}.attention", f"parts.{p}.last.1"] for p in ("global", "local")]


def test_layers_that_do_not_learn_are_none(judge):
    assert layers(judge) == [["scales.0.first.0", "scales.0.last"], ["scales.1.first.0", "scales.1.last"]]
    assert upper(judge, 1) == ("scales.0.last", "scales.1.last")


def test_a_projection_adds_the_groups_inner_product_with_the_mean_of_the_features(judge):
    projected = GroupProjection(judge, "woman", ["man"])
    x = torch.rand(2, 3, 4, 4)
    plain = judge(x)
    with routed(("man", "woman")):
        assert all(torch.equal(a, b) for a, b in zip(projected(x).logits, plain.logits, strict=True)), "zero at first"
        for vectors in projected.vectors:
            nn.init.constant_(vectors.branches["man"].weight, 0.5)
        actual = projected(x)
    for logits, before, features in zip(actual.logits, plain.logits, plain.features, strict=True):
        added = 0.5 * features[0].mean((1, 2)).sum()
        torch.testing.assert_close(logits[0], before[0] + added)
        assert torch.equal(logits[1], before[1])


@pytest.mark.parametrize(
    ("kind", "depth", "own"),
    [("branched", None, 8), ("branched", 1, 4), ("branched", 2, 8), ("classification", None, 0),
     ("projection", None, 2), ("branched+classification", 1, 4), ("projection+classification", None, 2)],
)  # fmt: skip
def test_what_each_group_has_to_itself(judge, kind, depth, own):
    found = appoint(kind, judge, "woman", ["man"], depth)
    assert len(branch_parameters(found, ["man"])) == own
    assert isinstance(found, GroupHead) == ("classification" in kind)
    with routed(("man", "woman")):
        verdict = found(torch.rand(2, 3, 4, 4))
    assert [logits.shape for logits in verdict.group_logits] == [(2, 2)] * (2 if "classification" in kind else 0)


def test_without_groups_the_discriminator_is_left(judge):
    holder = nn.ModuleDict({"a": appoint("projection", judge, "woman", ["man"], None)})
    keep_branch(holder, "man")
    assert holder["a"] is judge
    assert not any(isinstance(module, Branches) for module in holder.modules())


def test_a_renewed_discriminator_has_learned_nothing(judge):
    fresh = judge.renewed()
    assert type(fresh) is Two
    assert fresh.state_dict().keys() == judge.state_dict().keys()
    assert not torch.equal(fresh.below.weight, judge.below.weight)


@pytest.mark.parametrize(("discriminators", "kept"), [("warm", True), ("fresh", False)])
def test_discriminators_start_from_the_bases_or_anew(prepare, discriminators, kept):
    training = prepare("branch", judge="classification", discriminators=discriminators)
    base = prepare("none").backbone.discriminators["a"].state_dict()
    own = training.backbone.discriminators["a"].judge.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in base.items()) == kept


@pytest.mark.parametrize("name", ["timm", "timm+patch/2"])
def test_a_discriminator_of_registered_parts_starts_anew(tiny, registry, name):
    timm = {"network": "test_resnet", "weights": "random"}
    part = {"name": name, **({"timm": timm} if "+" in name else timm)}
    transfer = {"name": "branch", "judge": "branched", "discriminators": "fresh"}
    chosen = resolve(merge(tiny, {"discriminator": part, "transfer": transfer}), registry)
    model = Model(chosen, "woman")
    before = {key: tensor.clone() for key, tensor in model.backbone.discriminators["b"].state_dict().items()}
    model.adapt(chosen, ["man"])
    after = model.backbone.discriminators["b"].state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items() if "trunk." in key)
    renewed = {key: tensor for key, tensor in after.items() if ".branches.woman." in key and tensor.ndim > 1}
    old = {key: before[key.replace(".branches.woman", "")] for key in renewed}
    assert renewed
    assert not any(torch.equal(tensor, old[key]) for key, tensor in renewed.items())
    verdict = model.backbone.verdict("b", torch.zeros(2, 3, 32, 32), ("woman", "man"))
    assert len(verdict.features) == len(model.backbone.discriminators["b"].feature_channels) > 0


def test_a_discriminator_without_features_is_refused(judge):
    judge.feature_channels = ()
    with refused(ConfigError, "two", "feature_channels", "--discriminator", "--transfer.judge branched"):
        appoint("projection", judge, "woman", ["man"], None)


def test_more_layers_than_there_are_is_refused(judge):
    with refused(ConfigError, "two", 2, 3, "--transfer.judge_depth"):
        appoint("branched", judge, "woman", ["man"], 3)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            {"judge": "projection", "judge_depth": 2},
            ("--transfer.judge_depth 2", "--transfer.judge projection", "--transfer.judge branched"),
        ),
        (
            {"judge": "branched+classification", "judge_depth": 2},
            (
                "--transfer.judge branched+classification",
                "not 2",
                "--transfer.judge_depth",
                "--transfer.judge branched",
            ),
        ),
    ],
)
def test_a_depth_that_does_not_go_with_the_judge_is_refused(prepare, options, named):
    with refused(ConfigError, *named):
        prepare("branch", **options)


def test_frozen_layers_are_shared_and_the_rest_is_copied(judge):
    transfer = FreezeD(FreezeD.Config(), "woman", ["man"])
    assert transfer._points(judge) == ("scales.0.last", "scales.1.last")


def test_freezing_every_layer_is_refused(judge):
    with refused(ConfigError, "two", 2, "--transfer.frozen_layers"):
        FreezeD(FreezeD.Config(frozen_layers=2), "woman", ["man"])._points(judge)
