from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from i2i.contracts.branches import branch, routed
from i2i.errors import ConfigError
from i2i_unit.networks import MultiscaleDiscriminator, VariationalGenerator
from tests.wording import check, refused


def generator(**options: Any) -> VariationalGenerator:
    return VariationalGenerator(VariationalGenerator.Config(**{"size": 32, "channels": 2, "blocks": 3, **options}))


def judge(size: int, **options: Any) -> MultiscaleDiscriminator:
    return MultiscaleDiscriminator(MultiscaleDiscriminator.Config(size=size, **{"channels": 2, **options}))


def test_translation_is_deterministic_only_in_eval_mode() -> None:
    network, x = generator(), torch.randn(2, 3, 16, 16)
    assert not torch.equal(network(x).image, network(x).image)
    assert torch.equal(network(x).latent, network(x).latent)
    network.eval()
    translation = network(x)
    assert torch.equal(translation.image, network(x).image)
    assert torch.equal(translation.image, network.from_latent(translation.latent))


def test_noise_is_normal_and_scaled() -> None:
    latent = torch.full((1, 100, 10, 10), 3.0)
    for noise in (1.0, 0.5):
        difference = generator(noise=noise).disturb(latent) - latent
        assert difference.mean().item() == pytest.approx(0, abs=0.05)
        assert difference.std().item() == pytest.approx(noise, rel=0.05)
    assert generator(noise=0).disturb(latent) is latent


def test_the_decoded_sample_is_returned() -> None:
    network, x = generator(), torch.randn(1, 3, 16, 16)
    translation = network(x)
    assert translation.sample is not None
    assert not torch.equal(translation.sample, translation.latent)
    torch.testing.assert_close(network.from_latent(translation.sample), translation.image)


@pytest.mark.parametrize("blocks", [1, 3])
def test_encode_returns_the_maps_of_the_translation(blocks: int) -> None:
    network, x = generator(blocks=blocks), torch.randn(2, 3, 32, 16)
    maps = network.encode(x)
    assert tuple(map_.shape[1] for map_ in maps) == network.encoded_channels
    assert maps[-1].shape == (2, 8, 8, 4)
    translation = network(x)
    assert all(torch.equal(a, b) for a, b in zip(translation.encoded, maps, strict=True))
    assert torch.equal(translation.latent, maps[-1])


@pytest.mark.parametrize(
    ("depth", "points"),
    [
        (1, {"down.0", "up.2"}),
        (2, {"down.0", "down.1", "up.2", "up.1"}),
        (3, {"down.0", "down.1", "down.2", "up.2", "up.1", "up.0"}),
    ],
)
def test_branches(depth: int, points: set[str]) -> None:
    network = generator(branch_depth=depth).eval()
    assert set(network.branch_points) == points
    x = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        expected = network(x).image
        branch(network, network.branch_points, "woman", ["man"])
        with routed(("man", "woman", "man")):
            torch.testing.assert_close(network(x).image, expected)
    trunk = {key.split(".")[0] for key in network.state_dict() if "branches" not in key}
    assert {"blocks", "decode"} <= trunk


def test_the_default_cut_is_before_the_residual_blocks() -> None:
    assert set(generator().branch_points) == {f"{side}.{i}" for side in ("down", "up") for i in range(3)}


def test_shared_blocks_are_the_same_modules() -> None:
    a2b, b2a = generator(shared_blocks=2), generator(shared_blocks=2)
    b2a.share_with(a2b)
    assert [b2a.blocks[i] is a2b.blocks[i] for i in range(3)] == [False, True, True]
    assert [b2a.decode[i] is a2b.decode[i] for i in range(3)] == [True, True, False]
    both = nn.ModuleList([a2b, b2a])
    block = sum(p.numel() for p in a2b.blocks[0].parameters())
    alone = 2 * sum(p.numel() for p in a2b.parameters())
    assert sum(p.numel() for p in both.parameters()) == alone - 4 * block


def test_nothing_is_shared_by_default() -> None:
    a2b, b2a = generator(), generator()
    b2a.share_with(a2b)
    assert not {id(p) for p in a2b.parameters()} & {id(p) for p in b2a.parameters()}


def test_sharing_more_blocks_than_exist_is_refused() -> None:
    generator(shared_blocks=3)
    with refused(ConfigError, "unit", 4, "--generator.shared_blocks 3", "--generator.blocks"):
        generator(shared_blocks=4)


@pytest.mark.parametrize(
    ("size", "options", "sides"),
    [
        (256, {}, [16, 8, 4]),
        (64, {}, [4, 2, 1]),
        (32, {}, [4, 2, 1]),
        (16, {}, [4, 2, 1]),
        (64, {"scales": 1}, [4]),
        (32, {"scales": 2}, [2, 1]),
        (65, {}, [4, 2, 1]),
        (61, {}, [3, 1, 1]),
        (64, {"scales": 2, "layers": 5}, [2, 1]),
    ],
)
def test_every_scale_gives_logits(size: int, options: dict[str, int], sides: list[int]) -> None:
    network = judge(size, **options)
    verdict = network(torch.randn(2, 3, size, size))
    assert [tuple(logits.shape) for logits in verdict.logits] == [(2, 1, side, side) for side in sides]
    assert tuple(map_.shape[1] for map_ in verdict.features) == network.feature_channels
    assert [map_.shape[-1] for map_ in verdict.features] == sides


def test_a_depth_below_the_published_one_is_noted() -> None:
    assert judge(64).note == judge(256).note == judge(32, layers=2).note == ""
    check(judge(32).note, "32 px", "multiscale", 3, 4)


def test_too_many_halvings_are_refused() -> None:
    with refused(ConfigError, "multiscale", 3, 4, 32, "--discriminator.scales", "--discriminator.layers", "--size 64"):
        judge(32, layers=4)
    with refused(ConfigError, 6, 1, 16, "--size 64"):
        judge(16, scales=6)


def test_initial_weights() -> None:
    for layer in (m for m in generator(channels=16).modules() if isinstance(m, nn.Conv2d)):
        deviation = (2 / layer.weight[0].numel()) ** 0.5
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert not layer.bias.any()
    layers = [m for m in judge(64, channels=16).modules() if isinstance(m, nn.Conv2d)]
    assert torch.cat([m.weight.flatten() for m in layers]).std().item() == pytest.approx(0.02, rel=0.03)
    assert not any(m.bias.any() for m in layers)


def test_importing_the_plugin_does_not_import_torch() -> None:
    code = "import sys, i2i_unit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
