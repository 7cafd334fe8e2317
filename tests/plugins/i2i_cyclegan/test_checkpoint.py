from __future__ import annotations

import pytest
import torch

from i2i.errors import CheckpointError
from i2i_cyclegan.checkpoint import Network, from_published, to_published
from i2i_cyclegan.networks import PatchDiscriminator, ResnetGenerator, UnetGenerator
from tests.shared import published_keys


def resnet(blocks: int, channels: int = 2) -> ResnetGenerator:
    return ResnetGenerator(ResnetGenerator.Config(blocks=blocks, channels=channels))


def patch(channels: int = 2) -> PatchDiscriminator:
    return PatchDiscriminator(PatchDiscriminator.Config(channels=channels))


def unet(channels: int = 2) -> UnetGenerator:
    return UnetGenerator(UnetGenerator.Config(channels=channels))


def at_full_width(name: str) -> Network:
    makers = {"resnet6": lambda: resnet(6, 64), "resnet9": lambda: resnet(9, 64),
              "unet256": lambda: unet(64), "patchgan": lambda: patch(64)}  # fmt: skip
    with torch.device("meta"):
        return makers[name]()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet6", 7_837_699), ("resnet9", 11_378_179), ("unet256", 54_409_603), ("patchgan", 2_764_737)],
)
def test_published_names_shapes_and_counts(name: str, parameters: int) -> None:
    network = at_full_width(name)
    state = to_published(network.state_dict(), network)
    assert sum(value.numel() for value in state.values()) == parameters
    assert {key: tuple(value.shape) for key, value in state.items()} == published_keys(f"cyclegan_{name}.txt")


@pytest.mark.parametrize("network", [resnet(1), resnet(6), unet(), patch()], ids=lambda n: f"{n.name}")
def test_round_trip(network: Network) -> None:
    state = network.state_dict()
    back = from_published(to_published(state, network), network)
    assert list(back.keys() - state.keys()) == []
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_dropout_shifts_the_second_convolution_of_a_block() -> None:
    network = resnet(2)
    shifted = {key.replace("conv_block.5", "conv_block.6"): value
               for key, value in to_published(network.state_dict(), network).items()}  # fmt: skip
    back = from_published(shifted, network)
    assert all(torch.equal(back[key], value) for key, value in network.state_dict().items())


def test_statistics_of_old_files_are_dropped() -> None:
    network = resnet(1)
    old = {**to_published(network.state_dict(), network), "model.2.running_mean": torch.zeros(2)}
    assert from_published(old, network).keys() == network.state_dict().keys()


def test_another_number_of_blocks_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"does not fit ResnetGenerator: missing \['model.11.conv_block"):
        from_published(to_published(resnet(1).state_dict(), resnet(1)), resnet(2))
