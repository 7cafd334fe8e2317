"""What the discriminators' published shapes tell."""

from __future__ import annotations

import torch

from i2i.contracts.checkpoint_format import to_published
from i2i.errors import CheckpointError
from i2i_ugatit.networks import AttentionDiscriminator
from tests.wording import refused


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
