"""The generator's downsamplings, and what the discriminators' published shapes say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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


def test_the_original_has_no_third_downsampling(registry: Registry, tmp_path: Path) -> None:
    given = {"size": 32, "backbone": {"name": "ugatit", "channels": 4}, "generator": {"downsamplings": 3}}
    model = Model(resolve(given, registry), "woman")
    assert model.backbone.generators["a2b"].published_keys() == {}
    with refused(CheckpointError, "2", "3"):
        export_checkpoint(model, "ugatit-pytorch", tmp_path / "x.pt", registry)
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
