"""MobileFaceNet has the parameters of photo2cartoon's file."""

from __future__ import annotations

import torch

from i2i.errors import WeightsError
from i2i_features.mobilefacenet import MobileFaceNetModule
from tests.plugins.i2i_features.conftest import CPU, PRETRAINED, noise
from tests.shared import published_keys
from tests.wording import refused


def test_parameters_are_the_published_ones() -> None:
    network = MobileFaceNetModule()
    own = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert list(own.items()) == list(published_keys("mobilefacenet512.txt").items())
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_200_512


def test_features_have_length_1() -> None:
    features = MobileFaceNetModule().eval()(noise(112))
    assert features.shape == (2, 512)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


def test_a_users_file(tmp_path) -> None:
    network = MobileFaceNetModule()
    torch.save(network.state_dict(), tmp_path / "model_mobilefacenet.pth")
    x = noise(112)
    recognise = PRETRAINED.features("mobilefacenet:whole", str(tmp_path / "model_mobilefacenet.pth"), CPU)
    torch.testing.assert_close(recognise(x), network.eval()(x))


def test_another_file(tmp_path) -> None:
    state = MobileFaceNetModule().state_dict()
    torch.save({key: tensor for key, tensor in state.items() if key != "linear.weight"}, tmp_path / "net.pth")
    with refused(WeightsError, "mobilefacenet", "linear.weight"):
        PRETRAINED.features("mobilefacenet", str(tmp_path / "net.pth"), CPU)
