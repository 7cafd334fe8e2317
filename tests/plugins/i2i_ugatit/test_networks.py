"""The generator's downsamplings, and what the discriminators' published shapes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from i2i.contracts.checkpoint_format import to_published
from i2i.errors import CheckpointError
from i2i.exchange.exporting import export_checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import BackboneTests
from i2i_ugatit.model import UGATIT
from i2i_ugatit.networks import AttentionDiscriminator, AttentionGenerator
from tests.wording import refused


class TestUGATITWithColourSkip(BackboneTests):
    backbone = UGATIT
    options = {"backbone": {"channels": 4}, "generator": {"blocks": 1, "colour_skip": True}}


class TestUGATITWithThreeDownsamplings(BackboneTests):
    backbone = UGATIT
    options = {"backbone": {"channels": 4}, "generator": {"blocks": 1, "downsamplings": 3}}


@pytest.mark.parametrize("downsamplings", [1, 2, 3])
@pytest.mark.parametrize("light", [True, False])
def test_each_downsampling_halves_the_side_and_doubles_the_channels(downsamplings: int, light: bool) -> None:
    config = AttentionGenerator.Config(size=32, channels=4, blocks=1, downsamplings=downsamplings, light=light)
    generator = AttentionGenerator(config)
    translation = generator(torch.zeros(1, 3, 32, 32))
    sides = [32, 16, 8, 4][: downsamplings + 1]
    assert translation.image.shape == (1, 3, 32, 32)
    assert [one.shape[2] for one in translation.encoded] == [*sides, sides[-1], sides[-1]]
    assert tuple(one.shape[1] for one in translation.encoded) == generator.encoded_channels
    assert generator.multiple_of == 2**downsamplings


def test_a_branch_has_the_outermost_stages_and_at_most_all_of_them() -> None:
    def points(downsamplings: int, depth: int) -> set[str]:
        config = AttentionGenerator.Config(size=32, channels=4, downsamplings=downsamplings, branch_depth=depth)
        return set(AttentionGenerator(config).branch_points)

    assert points(3, 2) == {"down.0", "down.1", "up.3", "up.2"}
    assert points(2, 3) == {"down.0", "down.1", "down.2", "up.2", "up.1", "up.0"}
    assert points(1, 3) == {"down.0", "down.1", "up.1", "up.0"}


def test_only_a_colour_skip_tells_how_light_a_face_is() -> None:
    """A face of one tone on white: normalised, it is the same face whatever the tone."""
    torch.manual_seed(0)
    faces = torch.ones(2, 3, 32, 32, dtype=torch.double)
    faces[0, :, 8:24, 8:24], faces[1, :, 8:24, 8:24] = 0.5, -0.5
    for skip in (False, True):
        config = AttentionGenerator.Config(size=32, channels=4, blocks=1, colour_skip=skip)
        light, dark = AttentionGenerator(config).double()(faces).image
        assert ((light - dark).abs().max() > 0.01) == skip


def test_the_colour_skip_adds_the_shrunken_image_before_the_decoder() -> None:
    torch.manual_seed(0)
    config = AttentionGenerator.Config(size=32, channels=4, blocks=1, colour_skip=True)
    generator, x = AttentionGenerator(config), torch.rand(2, 3, 32, 32) * 2 - 1
    added: list[torch.Tensor] = []
    generator.colours.register_forward_hook(lambda module, inputs, output: added.extend([inputs[0], output]))
    steered: list[torch.Tensor] = []
    generator.decode[0].register_forward_pre_hook(lambda module, inputs: steered.append(inputs[0]))
    translation = generator(x)
    torch.testing.assert_close(added[0], F.adaptive_avg_pool2d(x, 8))
    attended = generator.attention(generator.encode(x)[-1])[0]
    torch.testing.assert_close(steered[0], attended + added[1])
    torch.testing.assert_close(translation.heatmap, attended.sum(1, keepdim=True))


def test_the_colour_skip_belongs_to_a_branch() -> None:
    config = AttentionGenerator.Config(size=32, channels=4, branch_depth=1, colour_skip=True)
    assert set(AttentionGenerator(config).branch_points) == {"down.0", "up.2", "colours"}


@pytest.mark.parametrize(
    ("options", "remedies"),
    [
        ({"downsamplings": 3}, ["--generator.downsamplings 2"]),
        (
            {"colour_skip": True, "upsampling": "bilinear"},
            ["--generator.no-colour_skip", "--generator.upsampling nearest"],
        ),
    ],
    ids=["deeper", "other layers"],
)
def test_the_original_lacks_some_generators(
    registry: Registry, tmp_path: Path, options: dict[str, Any], remedies: list[str]
) -> None:
    given = {"size": 32, "backbone": {"name": "ugatit", "channels": 4}, "generator": options}
    with refused(CheckpointError, f"trained with {' and '.join(remedies)} can be exported"):
        export_checkpoint(Model(resolve(given, registry), "woman"), "ugatit-pytorch", tmp_path / "x.pt", registry)
    assert not (tmp_path / "x.pt").exists()


def test_published_shapes_tell_width_and_depths_also_of_one_part():
    config = AttentionDiscriminator.Config(size=64, channels=4, global_layers=5, local_layers=3)
    state = to_published(AttentionDiscriminator(config))
    options = AttentionDiscriminator.published_options
    assert options(state, "x") == {"channels": 4, "global_layers": 5, "local_layers": 3}
    local = {key: tensor for key, tensor in state.items() if key.startswith("L.")}
    assert options(local, "x") == {"channels": 4, "local_layers": 3}
    assert options({}, "x") == {}


def test_a_layer_that_tells_is_missing():
    with refused(CheckpointError, "disLB", "model.1.weight_orig"):
        AttentionDiscriminator.published_options({"L.conv.bias": torch.zeros(1)}, "disLB")
