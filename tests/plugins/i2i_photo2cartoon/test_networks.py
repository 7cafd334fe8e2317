"""The hourglass, Soft-AdaLIN and the generator, against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.config.options import validate
from i2i.errors import ConfigError
from i2i_photo2cartoon.hourglass import Hourglass
from i2i_photo2cartoon.networks import HourglassGenerator, SoftNorm
from tests.shared import published_keys
from tests.wording import refused


def generator(**options):
    return HourglassGenerator(HourglassGenerator.Config(**{"channels": 4, "size": 32, **options}))


def test_a_cascade_joins_the_outputs_of_its_three_convolutions_and_adds_the_input():
    block = Hourglass(4).refine
    for stage, weight in zip(block.stages, (0.25, 1.0, 3.0), strict=True):
        torch.nn.init.zeros_(stage[3].weight)
        stage[3].weight.data[:, :, 1, 1] = weight
    pattern = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    x = (2 * pattern - 1).expand(1, 4, 2, 2)  # its norm is itself, whose positive part is the pattern
    expected = x + torch.stack([pattern, pattern, 2 * pattern, 3 * pattern])
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)


def test_a_pyramid_adds_up_five_scales():
    pyramid = Hourglass(4).pyramid
    for name, parameter in pyramid.named_parameters():
        assert "stages" in name
        torch.nn.init.zeros_(parameter)  # every block returns its input
    x = torch.randn(2, 4, 32, 48)
    scales = [F.interpolate(F.avg_pool2d(x, 2**i), scale_factor=2**i) for i in range(5)]
    torch.testing.assert_close(pyramid(x), sum(scales))


def test_an_hourglass_adds_its_features_and_what_it_recalls_of_its_image():
    hourglass = Hourglass(4)
    for conv in (hourglass.draw, hourglass.keep, hourglass.recall):
        torch.nn.init.zeros_(conv.weight)
    for conv, value in ((hourglass.draw, 1.0), (hourglass.keep, 10.0), (hourglass.recall, 100.0)):
        torch.nn.init.constant_(conv.bias, value)
    torch.nn.init.constant_(hourglass.recall.weight, 2.0)
    x = torch.randn(1, 4, 32, 32)
    torch.testing.assert_close(hourglass(x), x + 10 + 3 * 2 * 1 + 100)


def test_the_last_hourglass_returns_its_image():
    assert Hourglass(4, last=True)(torch.randn(2, 4, 32, 48)).shape == (2, 3, 32, 48)


def test_soft_norm_mixes_style_and_content_by_channel():
    norm = SoftNorm(1)
    for linear, value in (
        (norm.s_gamma, 2.0), (norm.c_gamma[2], 6.0), (norm.s_beta, 1.0), (norm.c_beta[2], 5.0),
    ):  # fmt: skip
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.constant_(linear.bias, value)
    for parameter, value in ((norm.w_gamma, 0.25), (norm.w_beta, 0.5), (norm.norm.rho, 1.0)):
        torch.nn.init.constant_(parameter, value)
    x = torch.tensor([[[[0.0, 2.0], [2.0, 0.0]]]])  # mean 1, unbiased variance 4/3
    gamma, beta = 0.75 * 2 + 0.25 * 6, 0.5 * 1 + 0.5 * 5
    expected = gamma * (x - 1) / (4 / 3) ** 0.5 + beta
    torch.testing.assert_close(norm(x, torch.randn(1, 1), torch.randn(1, 1)), expected, atol=1e-4, rtol=0)


def test_soft_norm_starts_with_style_alone():
    norm = SoftNorm(3)
    x, style = torch.randn(2, 3, 4, 4), torch.randn(2, 3)
    first, second = (norm(x, content, style) for content in torch.randn(2, 2, 3))
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert norm.norm.rho.unique().item() == pytest.approx(0.9)


def test_mixing_weights_are_clipped_after_a_step():
    network = generator()
    clipped = {n: p for n, p in network.named_parameters() if n.rpartition(".")[2] in ("rho", "w_gamma", "w_beta")}
    assert len(clipped) == 4 * 2 * 3 + 2
    for value, expected in ((1.5, 1.0), (-0.5, 0.0), (0.25, 0.25)):
        for parameter in clipped.values():
            torch.nn.init.constant_(parameter, value)
        network.after_step()
        assert {p.unique().item() for p in clipped.values()} == {expected}


@pytest.mark.parametrize(("light", "file", "count"), [(True, "light", 3_831_079), (False, "full", 70_923_559)])
def test_published_names_shapes_and_counts(light, file, count):
    with torch.device("meta"):
        network = generator(channels=32, size=256, light=light)
    state = network.state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == count
    shapes = {theirs: tuple(state[ours].shape) for ours, theirs in network.published_keys().items()}
    assert shapes == published_keys(f"photo2cartoon_G_ch32_{file}.txt")


def test_what_the_original_never_calls_is_saved_but_not_trained():
    network = generator(channels=32)
    unused = [key for key, theirs in network.published_keys().items() if ".ConvBlock4.2." in theirs]
    assert len(unused) == 56
    assert not set(unused) & {name for name, _ in network.named_parameters()}
    assert sum(p.numel() for p in network.parameters()) == 3_831_079 - 56 * 32 * 32


def test_every_parameter_gets_a_gradient():
    network = generator()
    y = network(torch.rand(1, 3, 32, 32))
    (y.image.square().mean() + y.cam_logits.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("light", [True, False])
def test_what_a_generator_returns(light):
    network = generator(light=light)
    y = network(torch.rand(2, 3, 32, 32) * 2 - 1)
    shapes = [tuple(t.shape) for t in (y.image, y.cam_logits, y.heatmap)]
    assert shapes == [(2, 3, 32, 32), (2, 2), (2, 1, 8, 8)]
    assert tuple(t.shape[1] for t in y.encoded) == network.encoded_channels
    assert network.fixed_size is not light


def test_light_generators_take_every_size_that_divides_by_16():
    assert generator()(torch.zeros(1, 3, 48, 64)).image.shape == (1, 3, 48, 64)


def test_encoding_alone_gives_what_translating_gives():
    network, x = generator(), torch.rand(1, 3, 32, 32)
    for alone, within in zip(network.encode(x), network(x).encoded, strict=True):
        assert torch.equal(alone, within)


@pytest.mark.parametrize(
    ("depth", "first", "last"),
    [(1, "down.0", "up.4"), (2, "down.1", "up.3"), (3, "down.2", "up.2"), (4, "down.3", "up.1"), (5, "down.4", "up.0")],
)
def test_branch_depth_counts_stages_on_either_side(depth, first, last):
    points = generator(branch_depth=depth).branch_points
    assert len(points) == 2 * depth
    assert (points[depth - 1], points[depth]) == (first, last)


def test_released_cut_between_branch_and_trunk():
    network = generator()
    theirs = {
        published.partition(".")[0]
        for key, published in network.published_keys().items()
        if any(key.startswith(f"{point}.") for point in network.branch_points)
    }
    assert theirs == {"ConvBlock1", "HourGlass1", "HourGlass4", "ConvBlock2"}


def test_sizes_and_widths_that_cannot_work_are_refused():
    with refused(ConfigError, "photo2cartoon", 32, 16):
        generator(size=16)
    with refused(ConfigError, "channels", 6, 4):
        validate(HourglassGenerator.Config, {"channels": 6}, "generator 'photo2cartoon'")
