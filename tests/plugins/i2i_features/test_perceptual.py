"""The perceptual loss against values worked out by hand, and with the networks that are here."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from i2i import PretrainedNetworks, Registry
from i2i.contracts.domains import Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Passes
from i2i.errors import ConfigError, UnknownComponentError, WeightsError
from i2i_features import convolutions
from i2i_features.perceptual import Perceptual
from tests.plugins.i2i_features.conftest import CPU, META, PRETRAINED
from tests.wording import refused


def loss(**options) -> Perceptual:
    return Perceptual(Perceptual.Config(**options))


def ready(**options) -> None:
    """Check a term as a run does before it begins; nothing is remembered of other tests."""
    loss(**options).prepare(nn.ModuleDict(), META, PretrainedNetworks(Registry()))


@pytest.fixture
def by_hand(monkeypatch) -> Perceptual:
    """The term with a network that gives two maps: the red pixels, and ten times the green ones."""
    term = loss()
    monkeypatch.setattr(term, "_maps", lambda images: _two_maps(torch.cat(images)))
    return term


def _two_maps(x: Tensor) -> list[Tensor]:
    return [x[:, :1], 10 * x[:, 1:2]]


def image(red: list[float], green: list[float]) -> Tensor:
    """Two pixels beside each other."""
    return torch.tensor([[red, green, [0.0, 0.0]]])[:, :, None]


def test_fakes_are_compared_with_their_sources(by_hand) -> None:
    real = {"a": image([0, 0.8], [0.5, 0.5]), "b": image([1, 1], [0, 0.4])}
    passes = Passes(Batch(real, ("woman",)))
    passes.fake = {"b": Translation(image([0.4, 0], [0.5, 0.5])), "a": Translation(image([1, 1], [0.4, 0.8]))}
    # Normalised, two different pixels are -s and s, s = d / sqrt(d^2 + eps) of half their difference d; equal ones 0.
    # Fake b is red 0.4, 0 where its source is 0, 0.8, so that each pixel differs by s1 + s2; green differs nowhere.
    # Fake a is green 0.4, 0.8 where its source is 0, 0.4: the same after normalisation.
    s1, s2 = (d / (d**2 + 1e-5) ** 0.5 for d in (0.2, 0.4))
    assert by_hand.generator(passes).tolist() == pytest.approx([(s1 + s2) ** 2], rel=1e-5)
    assert by_hand.discriminator(passes) is None


def test_directions_and_layers_are_added_and_samples_are_not(by_hand) -> None:
    up, down, flat = [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]
    source = torch.cat([image(up, up), image(up, up)])
    passes = Passes(Batch({"a": source, "b": source}, ("woman", "man")))
    fakes = torch.cat([image(down, down), image(up, flat)])
    passes.fake = {domain: Translation(fakes) for domain in "ab"}
    # first sample: each layer 2^2, two layers, two directions; second: green 1 against 0, two directions
    assert by_hand.generator(passes).tolist() == pytest.approx([16.0, 2.0], rel=1e-3)


def test_a_map_of_one_pixel_is_refused(by_hand, noisy) -> None:
    by_hand._maps = lambda images: [torch.cat(images).mean((2, 3), keepdim=True)]
    with refused(ConfigError, "vgg16", 0):
        by_hand.generator(noisy(8))


@pytest.mark.parametrize(("network", "side"), [("vgg16", 32), ("alexnet", 64), ("timm:tf_efficientnet_lite0", 64)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_networks(needs, noisy, network, side, precision) -> None:
    needs(network)
    term, passes = loss(network=network), noisy(side)
    assert term.prepare(nn.ModuleDict(), CPU, PRETRAINED) is None
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        value = term.generator(passes)
    assert value.shape == (2,)
    assert value.dtype == torch.float32
    assert (value > 0.05).all()
    value.sum().backward()
    assert all(fake.image.grad.abs().sum() > 0 for fake in passes.fake.values())
    assert not any(parameter.requires_grad for parameter in term.network.parameters())


def test_equal_images_cost_nothing(needs, noisy) -> None:
    needs("vgg16")
    term, passes = loss(layers=["relu2_2", "relu5_3"]), noisy(32)
    term.prepare(nn.ModuleDict(), CPU, PRETRAINED)
    passes.fake = {"a": Translation(passes.batch.real["b"]), "b": Translation(passes.batch.real["a"])}
    assert term.generator(passes).abs().max() < 1e-6


def test_vgg16_is_computed_without_pool4_on_imagenets_colours(needs, noisy) -> None:
    needs("vgg16")
    term, passes = loss(), noisy(32)
    term.prepare(nn.ModuleDict(), CPU, PRETRAINED)
    x = passes.batch.real["a"]
    (maps,) = term.network.maps(x)
    whole = convolutions.vgg16().eval()
    whole.load_state_dict(term.network.network.state_dict())
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    y = whole.features[:23]((x / 2 + 0.5 - mean) / std)
    torch.testing.assert_close(maps, whole.features[24:30](y))


def test_caffes_vgg16_gets_caffes_colours(tmp_path, noisy) -> None:
    network = convolutions.vgg16()
    torch.save(network.state_dict(), tmp_path / "vgg16.pth")
    term, passes = loss(network="vgg16-caffe", weights=str(tmp_path / "vgg16.pth")), noisy(16)
    term.prepare(nn.ModuleDict(), CPU, PRETRAINED)
    x = passes.batch.real["a"]
    pixels = (x + 1) * 127.5 - torch.tensor([123.68, 116.779, 103.939])[:, None, None]
    torch.testing.assert_close(term.network.maps(x)[0], network(pixels, ["relu5_3"])[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"network": "vgg61"}, ("vgg61", "vgg16")),
        ({"layers": ["relu9_9"]}, ("relu9_9",)),
        ({"layers": ["relu1_1", "relu2_1", "relu1_1"]}, ("relu1_1",)),
        ({"network": "timm:resnt18"}, ("resnt18", "resnet18")),
    ],
)
def test_wrong_options(options, named) -> None:
    with refused((ConfigError, UnknownComponentError), *named):
        ready(**options)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("network", ["vgg16", "timm:resnet18"])
def test_missing_weights_are_reported_before_training(network) -> None:
    with refused(WeightsError, network):
        ready(network=network)


def test_weights_that_do_not_fit_are_told_before_training(tmp_path) -> None:
    torch.save({"other.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:100])
    with refused(WeightsError, "vgg16", "features.0.weight"):
        ready(weights=str(tmp_path / "other.pth"))
    for network in ("alexnet", "timm:resnet18"):
        with refused(WeightsError, "cut.pth"):
            ready(network=network, weights=str(tmp_path / "cut.pth"))


def test_the_network_goes_to_the_device(needs) -> None:
    needs("alexnet")
    term = loss(network="alexnet")
    term.prepare(nn.ModuleDict(), META, PRETRAINED)
    assert all(tensor.is_meta for tensor in [*term.network.parameters(), *term.network.buffers()])
    assert isinstance(term.network, nn.Module)


def test_a_layer_that_a_network_of_timm_lacks(needs) -> None:
    needs("timm:tf_efficientnet_lite0")
    with refused(ConfigError, "5", 0, 1, 2, 3, 4):
        ready(network="timm:tf_efficientnet_lite0", layers=["5"])
