"""FID's Inception against pytorch-fid's own, and its resizing against Pillow, torch-fidelity and clean-fid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from pytorch_fid.inception import InceptionV3 as Theirs
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from i2i.errors import ConfigError, WeightsError
from i2i_features.inception import InceptionV3, folded
from i2i_features.seeing_inception import Inception, as_clean_fid, as_pytorch_fid, as_tensorflow
from tests.plugins.i2i_features.conftest import CPU, PRETRAINED
from tests.wording import refused

SIZES = [(32, 32), (64, 48), (299, 299), (310, 420)]


def pixels(count: int, height: int, width: int) -> torch.Tensor:
    """Return noise as 8-bit values, ``(count, 3, height, width)`` floats."""
    return torch.randint(256, (count, 3, height, width)).float()


@pytest.fixture
def theirs(monkeypatch, inception_file) -> Theirs:
    state = torch.load(inception_file, weights_only=True)
    monkeypatch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: state)
    return Theirs(resize_input=False).eval()


def test_features_are_those_of_pytorch_fid(theirs, inception_file) -> None:
    sees = PRETRAINED.features("inception", str(inception_file), CPU)
    x = pixels(2, 299, 299) / 255
    with torch.no_grad():
        desired, actual = theirs(x)[0].flatten(1), sees(2 * x - 1)
    assert actual.shape == (2, 2048)
    assert desired.std() > 1
    torch.testing.assert_close(actual, desired, rtol=1e-5, atol=1e-5 * desired.max().item())


def test_maps_are_2048_of_8_places_and_the_network_is_frozen(inception_file) -> None:
    sees = PRETRAINED.features("inception", str(inception_file), CPU)
    assert sees.maps(sees.resized(torch.zeros(1, 3, 40, 30)))[0].shape == (1, 2048, 8, 8)
    assert not any(parameter.requires_grad for parameter in sees.parameters())


def test_images_count_as_the_files_that_would_be_written_of_them() -> None:
    sees = Inception()
    x = pixels(1, 8, 8) / 127.5 - 1
    for near in (x + 0.4 / 127.5, x - 0.4 / 127.5):
        assert torch.equal(sees.resized(near), sees.resized(x))


@pytest.mark.parametrize("size", SIZES)
def test_resizing_as_pytorch_fid(size) -> None:
    x = pixels(1, *size)
    desired = 2 * torch.nn.functional.interpolate(x / 255, (299, 299), mode="bilinear", align_corners=False) - 1
    torch.testing.assert_close(as_pytorch_fid(x), desired, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("size", SIZES)
def test_resizing_as_clean_fid(size) -> None:
    x = pixels(1, *size)
    desired = build_resizer("clean")(x[0].permute(1, 2, 0).numpy().astype(np.uint8))
    actual = (as_clean_fid(x)[0] * 128 + 128).permute(1, 2, 0)
    torch.testing.assert_close(actual, torch.tensor(desired), rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_resizing_as_torch_fidelity(size) -> None:
    x = pixels(1, *size)
    desired = (interpolate_bilinear_2d_like_tensorflow1x(x, (299, 299), align_corners=False) - 128) / 128
    torch.testing.assert_close(as_tensorflow(x), desired, rtol=0, atol=1e-5)


def test_variants_and_their_titles_and_fingerprints(inception_file) -> None:
    names = ["inception", "inception:clean", "inception:tensorflow"]
    found = [PRETRAINED.features(name, str(inception_file), CPU) for name in names]
    assert [sees.resize for sees in found] == [
        "299 px, bilinear, as pytorch-fid",
        "299 px, bicubic with antialias, as clean-fid",
        "299 px, bilinear from the first pixel, as torch-fidelity",
    ]
    assert {sees.title for sees in found} == {f"FID's Inception ({inception_file})"}
    assert len({sees.fingerprint for sees in found}) == 3


def test_an_unknown_variant() -> None:
    with refused(ConfigError, "inception:claen", "clean"):
        Inception("claen")


def test_normalisation_is_folded_into_the_convolution() -> None:
    state = {
        "x.conv.weight": torch.full((1, 1, 1, 1), 3.0),
        "x.bn.weight": torch.tensor([2.0]),
        "x.bn.bias": torch.tensor([0.5]),
        "x.bn.running_mean": torch.tensor([6.0]),
        "x.bn.running_var": torch.tensor([4.0 - 1e-3]),
        "fc.weight": torch.ones(1),
        "y.conv.weight": torch.ones(1, 1, 1, 1),
    }
    assert {key: tensor.item() for key, tensor in folded(state).items()} == {
        "x.weight": pytest.approx(3),  # 3 * 2 / sqrt(4)
        "x.bias": pytest.approx(-5.5),  # 0.5 - 6 * 2 / sqrt(4)
    }


@pytest.mark.parametrize("damage", ["missing", "another network"])
def test_a_file_of_another_network(tmp_path, inception_file, damage) -> None:
    state = torch.load(inception_file, weights_only=True)
    if damage == "missing":
        del state["Mixed_7c.branch_pool.bn.bias"]
    torch.save(state if damage == "missing" else {"fc.weight": torch.ones(1)}, tmp_path / "net.pth")
    lacking = "Mixed_7c.branch_pool.weight" if damage == "missing" else "Conv2d_1a_3x3.weight"
    with refused(WeightsError, "inception", lacking):
        PRETRAINED.features("inception", str(tmp_path / "net.pth"), CPU)


@pytest.mark.parametrize("name", ["pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"])
def test_a_damaged_file_in_the_cache_is_refused(monkeypatch, tmp_path, name) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cut")
    with refused(WeightsError, name, "i2i weights download inception-pytorch-fid"):
        PRETRAINED.load("inception")


@pytest.mark.usefixtures("nowhere")
def test_missing_weights_tell_the_remedy() -> None:
    with refused(WeightsError, "inception", "i2i weights download inception-pytorch-fid"):
        PRETRAINED.features("inception", None, CPU)


def test_the_network_has_the_parameters_of_its_file(inception_file: Path) -> None:
    """Inception v3 has 21,785,568 weights of convolutions and normalisation without its classifier."""
    with torch.device("meta"):
        network = InceptionV3()
    kernels = sum(parameter.numel() for parameter in network.parameters() if parameter.dim() == 4)
    biases = sum(parameter.numel() for parameter in network.parameters() if parameter.dim() == 1)
    assert kernels + 2 * biases == 21_785_568
    assert folded(torch.load(inception_file, weights_only=True)).keys() == network.state_dict().keys()
