"""The discriminator that looks through a frozen network of timm."""

from __future__ import annotations

import pytest
import timm
import torch

from i2i.contracts.branches import branch
from i2i.errors import ConfigError, WeightsError
from i2i.groups.stored import open_model
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i_features.discriminator import TimmDiscriminator
from tests.plugins.i2i_features.conftest import PRETRAINED, REGISTRY, noise
from tests.wording import check, refused

SMALL = "test_resnet"


def judge(**options) -> TimmDiscriminator:
    given = {"size": 32, "channels": 4, "network": SMALL, "weights": "random"}
    built = TimmDiscriminator(TimmDiscriminator.Config(**(given | options)))
    built.assemble(REGISTRY)
    built.prepare(PRETRAINED)
    return built


@pytest.mark.parametrize("side", [32, 64, 256])
@pytest.mark.parametrize("network", [SMALL, "tf_efficientnet_lite0", "test_convnext"])
def test_it_judges_every_scale(network, side) -> None:
    network = judge(size=side, network=network).eval()
    verdict = network(noise(side))
    assert [logits.shape[:2] for logits in verdict.logits] == [(2, 1)] * 4
    assert [logits.shape[2] for logits in verdict.logits] == [side // reduction for reduction in (4, 8, 16, 32)]
    assert tuple(features.shape[1] for features in verdict.features) == network.feature_channels == (4,) * 4
    assert verdict.cam_logits == []


@pytest.mark.parametrize("mixing", [True, False])
def test_only_heads_learn(mixing) -> None:
    network = judge(mixing=mixing).train()
    x = noise(32).requires_grad_()
    sum(logits.sum() for logits in network(x).logits).backward()
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, _ in network.named_parameters() if name.startswith("heads.")}
    assert all((p.grad is not None) == (name in learning) for name, p in network.named_parameters())
    assert x.grad.abs().sum() > 0
    assert not any(module.training for module in network.trunk.modules())


def test_samples_do_not_depend_on_their_batch() -> None:
    network, x = judge().train(), noise(32, 3)
    network(x)
    network.eval()
    for many, one in zip(network(x).logits, network(x[1:2]).logits, strict=True):
        torch.testing.assert_close(many[1:2], one, atol=1e-5, rtol=1e-5)


def test_branch_points_are_the_heads() -> None:
    network = judge()
    branch(network, network.branch_points, "woman", ["man"])
    copied = {name.split(".branches.man.")[0] for name, _ in network.named_parameters() if ".branches.man." in name}
    assert copied == {f"heads.{number}" for number in range(4)}


def test_equal_seeds_give_equal_random_weights_which_are_saved() -> None:
    torch.manual_seed(1)
    first = judge()
    torch.manual_seed(1)
    second = judge()
    torch.manual_seed(2)
    third = judge()
    x = noise(32)
    assert torch.equal(first.eval()(x).logits[0], second.eval()(x).logits[0])
    assert not torch.equal(first(x).logits[0], third.eval()(x).logits[0])
    third.load_state_dict(first.state_dict())
    assert torch.equal(first(x).logits[0], third(x).logits[0])


def test_images_are_normalised_as_the_network_asks() -> None:
    assert judge(network="resnet18").trunk.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert judge(network="tf_efficientnet_lite0").trunk.std.flatten().tolist() == [0.5] * 3


def test_auto_takes_what_is_here(needs) -> None:
    needs("timm:tf_efficientnet_lite0")
    first, second = (judge(network="tf_efficientnet_lite0", weights="auto") for _ in range(2))
    assert first.note == ""
    for key, tensor in first.trunk.state_dict().items():
        assert torch.equal(tensor, second.trunk.state_dict()[key])


@pytest.mark.usefixtures("nowhere")
def test_auto_goes_on_with_random_weights_and_says_so() -> None:
    network = judge(weights="auto")
    check(network.note, f"discriminator's {SMALL}", f"timm:{SMALL}")


def test_a_users_file(tmp_path) -> None:
    whole = timm.create_model(SMALL)
    torch.save(whole.state_dict(), tmp_path / "net.pth")
    network = judge(weights=str(tmp_path / "net.pth"))
    assert torch.equal(network.trunk.network.body.state_dict()["bn1.weight"], whole.state_dict()["bn1.weight"])
    with refused(WeightsError, "no.pth", f"timm:{SMALL}"):
        judge(weights="no.pth")


@pytest.mark.usefixtures("nowhere")
def test_on_the_meta_device_a_users_file_is_checked_and_no_other_looked_for(tmp_path) -> None:
    for name in (SMALL, "resnet18"):
        torch.save(timm.create_model(name).state_dict(), tmp_path / f"{name}.pth")
    with torch.device("meta"):
        for weights in (str(tmp_path / f"{SMALL}.pth"), "auto"):
            assert all(tensor.is_meta for tensor in judge(weights=weights).state_dict().values())
        with refused(WeightsError, "no.pth"):
            judge(weights="no.pth")
        with refused(WeightsError, "timm", SMALL):
            judge(weights=str(tmp_path / "resnet18.pth"))


def test_wrong_options() -> None:
    with refused(ConfigError, "resnt18", "resnet18"):
        judge(network="resnt18")
    with refused(ConfigError, "resnet18", 5, 6, "--discriminator.scales"):
        judge(network="resnet18", scales=6)


@pytest.mark.parametrize("weights", ["random", "net.pth"])
def test_a_saved_model_brings_its_frozen_weights_along(registry, tmp_path, monkeypatch, weights) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(timm.create_model(SMALL).state_dict(), "net.pth")
    given = {
        "size": 32,
        "backbone": {"name": "cyclegan", "channels": 4},
        "generator": {"blocks": 1},
        "discriminator": {"name": "timm", "network": SMALL, "weights": weights},
    }
    model = Model(resolve(given, registry), "woman", ["man"])
    model.prepare(PRETRAINED)
    save(model, tmp_path / "model.safetensors")
    (tmp_path / "net.pth").unlink()
    assert open_model(tmp_path / "model.safetensors", registry).groups == ("man",)
    torch.manual_seed(1)
    loaded = load(tmp_path / "model.safetensors", registry, judges=True)
    x = noise(32)
    first, second = (one.backbone.discriminators["a"].eval()(x).logits for one in (model, loaded))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_any_feature_network_with_layers_can_judge(needs) -> None:
    needs("vgg16")
    network = judge(network="vgg16:relu3_3", weights="auto", scales=2).eval()
    assert network.layers == ["relu5_3", "pool5"]
    assert [logits.shape for logits in network(noise(32)).logits] == [(2, 1, 4, 4), (2, 1, 2, 2)]
    with refused(ConfigError, "dlib", 0, 4):
        judge(network="dlib")
