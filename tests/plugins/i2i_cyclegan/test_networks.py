from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.contracts.branches import branch, routed
from i2i.contracts.generator import Generator
from i2i.errors import ConfigError
from i2i_cyclegan.discriminators import PatchDiscriminator, PixelDiscriminator
from i2i_cyclegan.networks import ResnetGenerator, UnetGenerator
from tests.wording import check, refused


def resnet(**options: Any) -> ResnetGenerator:
    return ResnetGenerator(ResnetGenerator.Config(**{"size": 16, "channels": 2, "blocks": 2, **options}))


def unet(size: int, **options: Any) -> UnetGenerator:
    return UnetGenerator(UnetGenerator.Config(size=size, **{"channels": 2, **options}))


def patch(size: int, **options: Any) -> PatchDiscriminator:
    return PatchDiscriminator(PatchDiscriminator.Config(size=size, **{"channels": 2, **options}))


def published_unet(network: UnetGenerator, x: Tensor) -> Tensor:
    """Run a U-Net as published: nested, and with in-place activations before each skip connection is joined."""
    deepest = len(network.down) - 1

    def level(i: int, x: Tensor) -> Tensor:
        if i > 0:
            nn.functional.leaky_relu_(x, 0.2)
        convolved = network.down[i][1:](x) if i > 0 else network.down[i](x)
        inner = level(i + 1, convolved) if i < deepest else convolved
        outer = network.up[deepest - i][1:](nn.functional.relu_(inner))
        return torch.cat([x, outer], 1) if i > 0 else outer

    return level(0, x)


def generators() -> list[Generator]:
    return [resnet(), resnet(branch_depth=1), resnet(upsampling="bilinear"), unet(32), unet(16, branch_depth=9)]


@pytest.mark.parametrize("generator", generators(), ids=lambda g: f"{g.name}-{len(g.branch_points)}")
def test_branching_changes_no_output(generator: Generator) -> None:
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        desired = generator(x).image
        branch(generator, generator.branch_points, "woman", ["man"])
        for groups in [("woman",) * 3, ("man",) * 3]:
            with routed(groups):
                assert torch.equal(generator(x).image, desired)
        with routed(("man", "woman", "man")):
            torch.testing.assert_close(generator(x).image, desired)


def test_branch_points_are_the_outermost_stages() -> None:
    assert resnet().branch_points == ("down.0", "down.1", "down.2", "up.0", "up.1", "up.2")
    assert resnet(branch_depth=1).branch_points == ("down.0", "up.2")
    assert unet(32, branch_depth=2).branch_points == ("down.0", "down.1", "up.3", "up.4")


def test_default_trunk_of_the_resnet_is_its_blocks() -> None:
    network = resnet()
    branched = [name for name, _ in network.named_parameters() if not name.startswith("blocks.")]
    assert all(name.rsplit(".", 2)[0] in network.branch_points for name in branched)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
@pytest.mark.parametrize("side", [16, 20, 64])
def test_resnet_keeps_shape_and_range(side: int, upsampling: str) -> None:
    image = resnet(upsampling=upsampling)(torch.randn(2, 3, side, side + 4)).image
    assert image.shape == (2, 3, side, side + 4)
    assert image.abs().max() <= 1


@pytest.mark.parametrize(("size", "depth"), [(256, 8), (64, 6), (16, 4), (96, 5), (48, 4)])
def test_unet_depth_follows_the_size(size: int, depth: int) -> None:
    network = unet(size)
    assert (len(network.down), network.multiple_of) == (depth, 2**depth)
    if size <= 96:
        assert network(torch.randn(1, 3, size, size)).image.shape == (1, 3, size, size)


def test_unet_with_its_own_depth_takes_multiples() -> None:
    network = unet(64, depth=3)
    assert network.multiple_of == 8
    assert network(torch.randn(1, 3, 24, 40)).image.shape == (1, 3, 24, 40)


def test_unet_says_what_size_would_work() -> None:
    with refused(ConfigError, "unet", 4, "size 100", 16, "size 96", "depth 2", "resnet"):
        unet(100)


def test_unet_says_what_depth_would_work() -> None:
    with refused(ConfigError, 8, "size 256", "depth 6"):
        unet(64, depth=8)


def test_unet_of_an_odd_size_names_no_depth() -> None:
    with refused(ConfigError, "size 64", "resnet"):
        unet(65)


def test_unet_computes_what_the_published_wiring_computes() -> None:
    network = unet(32)
    x = torch.randn(2, 3, 32, 32)
    actual = network(x).image
    desired = published_unet(network, x)
    assert torch.equal(actual, desired)
    weights = torch.randn_like(actual)
    parameters = list(network.parameters())
    ours = torch.autograd.grad((actual * weights).sum(), parameters)
    theirs = torch.autograd.grad((desired * weights).sum(), parameters)
    for mine, published in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, published)


@pytest.mark.parametrize(("size", "layers", "side"), [(256, 3, 30), (64, 3, 6), (48, 2, 10), (32, 2, 6), (16, 1, 6)])
def test_patch_layers_follow_the_size(size: int, layers: int, side: int) -> None:
    network = patch(size)
    verdict = network(torch.randn(2, 3, size, size))
    assert len(network.stages) == layers + 1
    assert verdict.logits[0].shape == (2, 1, side, side)
    assert verdict.features[0].shape == (2, *network.feature_channels, side + 1, side + 1)
    assert bool(network.note) == (layers < 3)


def test_patch_sees_how_much_the_images_of_a_group_differ() -> None:
    torch.manual_seed(0)
    judge = patch(16, minibatch_std=True)
    alike, different = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1), torch.rand(2, 3, 16, 16)
    plain = patch(16)
    plain.load_state_dict({**judge.state_dict(), "head.weight": judge.head.weight[:, :-1]})
    torch.testing.assert_close(judge(alike).logits, plain(alike).logits, rtol=0, atol=1e-4)
    assert (judge(different).logits[0] - plain(different).logits[0]).abs().max() > 1e-3
    branch(judge, judge.branch_points, "woman", ["man"])
    with routed(("man", "woman", "man", "woman")):  # another group's spread is not seen
        together = judge(torch.stack([alike[0], different[0], alike[1], different[1]])).logits[0]
    with routed(("woman",) * 2):
        alone = torch.stack([judge(alike).logits[0], judge(different).logits[0]], 1).flatten(0, 1)
    torch.testing.assert_close(together, alone)


def test_patch_notes_a_choice_made_for_the_user() -> None:
    check(patch(32).note, "32 px", "patch", 2, 3)
    assert patch(32, layers=2).note == ""


def test_patch_says_how_many_layers_fit() -> None:
    with refused(ConfigError, "patch", 5, 64, 4, 96):
        patch(64, layers=5)


def test_the_most_layers_that_are_offered_work() -> None:
    assert patch(64, layers=4)(torch.randn(1, 3, 64, 64)).logits[0].shape == (1, 1, 2, 2)
    assert patch(96, layers=5)(torch.randn(1, 3, 96, 96)).logits[0].shape == (1, 1, 1, 1)


@pytest.mark.parametrize("network", [resnet(channels=16), unet(64, channels=16), patch(64, channels=16)])
def test_initial_weights(network: nn.Module) -> None:
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    assert weights.std().item() == pytest.approx(0.02, rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)


def test_importing_the_plugin_does_not_import_torch() -> None:
    code = "import sys, i2i_cyclegan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_pixel_discriminator_judges_every_pixel_alone() -> None:
    network = PixelDiscriminator(PixelDiscriminator.Config(size=16, channels=2)).eval()
    network.stages[1][1] = nn.Identity()  # the norm alone looks at other pixels
    x = torch.randn(1, 3, 8, 8)
    changed = x.clone()
    changed[..., 3, 5] += 1
    before, after = network(x).logits[0], network(changed).logits[0]
    assert before.shape == (1, 1, 8, 8)
    assert (before != after).nonzero().tolist() == [[0, 0, 3, 5]]


@pytest.mark.parametrize("generator", [resnet(), unet(32)], ids=lambda g: g.name)
def test_encoding_is_that_of_the_translation(generator: Generator) -> None:
    x = torch.randn(2, 3, 32, 32)
    maps = generator.encode(x)
    assert tuple(map_.shape[1] for map_ in maps) == generator.encoded_channels
    assert all(torch.equal(a, b) for a, b in zip(generator(x).encoded, maps, strict=True))
