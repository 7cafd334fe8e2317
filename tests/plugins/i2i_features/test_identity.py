"""The face identity loss against values worked out by hand, and with dlib's network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from i2i import PretrainedNetworks, Registry
from i2i.contracts.domains import Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Passes
from i2i.errors import WeightsError
from i2i_features.identity import FaceIdentity
from i2i_features.mobilefacenet import MobileFaceNetModule
from i2i_features.seeing_faces import dlib_crop, photo2cartoon_crop, stretched
from tests.plugins.i2i_features.conftest import CPU, META, PRETRAINED, noise
from tests.wording import refused


def loss(**options) -> FaceIdentity:
    return FaceIdentity(FaceIdentity.Config(**options))


def ready(**options) -> None:
    """Check a term as a run does before it begins; nothing is remembered of other tests."""
    loss(**options).prepare(nn.ModuleDict(), META, PretrainedNetworks(Registry()))


@pytest.fixture
def by_hand() -> FaceIdentity:
    """The term with a network whose two features are the red and the green of the middle."""
    term = loss()
    term.network = lambda x: dlib_crop(x, 150)[:, :2, 75, 75]
    return term


def plain(*colours: tuple[float, float]) -> Tensor:
    """Return an image of one red and green a sample."""
    return torch.tensor([[*colour, 0.0] for colour in colours])[:, :, None, None].expand(-1, -1, 64, 64)


def test_values(by_hand) -> None:
    real = {"a": plain((1.0, 0.0), (1.0, 0.0)), "b": plain((0.0, 0.5), (0.5, 0.5))}
    passes = Passes(Batch(real, ("woman", "man")))
    passes.fake = {
        "b": Translation(plain((0.5, 0.0), (0.6, 0.8))),  # of a: cosines 1 and 0.6
        "a": Translation(plain((0.5, 0.0), (-1.0, -1.0))),  # of b: cosines 0 and -1
    }
    assert by_hand.generator(passes).tolist() == pytest.approx([0.0 + 1.0, 0.4 + 2.0], abs=1e-6)
    assert by_hand.discriminator(passes) is None


def test_photo2cartoon_cuts_out_rows_57_to_219_and_columns_47_to_209_of_256() -> None:
    rows = torch.arange(256.0)[None, None, :, None].expand(1, 3, 256, 256)
    cut = photo2cartoon_crop(rows, 162)
    assert (cut[0, 0, 0, 0], cut[0, 0, -1, 0]) == (57, 218)
    cut = photo2cartoon_crop(rows.mT, 162)
    assert (cut[0, 0, 0, 0], cut[0, 0, 0, -1]) == (47, 208)
    assert photo2cartoon_crop(rows, 112).shape == (1, 3, 112, 112)


def test_dlib_cuts_out_rows_71_to_227_and_columns_50_to_206_of_256() -> None:
    rows = torch.arange(256.0)[None, None, :, None].expand(1, 3, 256, 256)
    cut = dlib_crop(rows, 156)
    assert (cut[0, 0, 0, 0], cut[0, 0, -1, 0]) == (71, 226)
    cut = dlib_crop(rows.mT, 156)
    assert (cut[0, 0, 0, 0], cut[0, 0, 0, -1]) == (50, 205)


@pytest.mark.parametrize("crop", [photo2cartoon_crop, dlib_crop])
@pytest.mark.parametrize("size", [(32, 32), (256, 256), (64, 48), (48, 96)])
def test_crops_of_any_size(crop, size) -> None:
    assert crop(torch.zeros(2, 3, *size), 20).shape == (2, 3, 20, 20)


def test_scaling_keeps_the_corners() -> None:
    x = noise(40)
    y = stretched(x, 150)
    for corner in ((0, 0), (-1, -1)):
        torch.testing.assert_close(y[..., corner[0], corner[1]], x[..., corner[0], corner[1]])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("network", ["dlib", "mobilefacenet"])
def test_networks(needs, noisy, tmp_path, network, precision) -> None:
    options = {"network": network}
    if network == "dlib":
        needs("dlib")
    else:
        torch.save(MobileFaceNetModule().state_dict(), tmp_path / "net.pth")
        options["weights"] = str(tmp_path / "net.pth")
    term, passes = loss(**options), noisy(64)
    assert term.prepare(nn.ModuleDict(), CPU, PRETRAINED) is None
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        value = term.generator(passes)
    assert value.shape == (2,)
    assert value.dtype == torch.float32
    assert (value > 0).all()
    value.sum().backward()
    assert all(fake.image.grad.abs().sum() > 0 for fake in passes.fake.values())
    assert not any(parameter.requires_grad for parameter in term.network.parameters())


@pytest.mark.usefixtures("nowhere")
def test_missing_weights_are_told_before_training() -> None:
    with refused(WeightsError, "dlib"):
        ready()
    with refused(WeightsError, "mine.pth", "mobilefacenet"):
        ready(network="mobilefacenet", weights="mine.pth")


@pytest.mark.parametrize("network", ["dlib", "mobilefacenet"])
def test_weights_of_another_network_are_told_before_training(tmp_path, network) -> None:
    torch.save({"other.weight": torch.zeros(2)}, tmp_path / "net.pth")
    with refused(WeightsError, network):
        ready(network=network, weights=str(tmp_path / "net.pth"))
