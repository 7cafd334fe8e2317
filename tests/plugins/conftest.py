"""Fixtures for tests of several plugins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory) -> Path:
    """Return a file with the names and shapes of FID's Inception, and random weights."""
    with torch.device("meta"):
        whole = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    state = {key: random(key, tensor.shape, generator) for key, tensor in whole.state_dict().items()}
    file = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state, file)
    return file


def random(key: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return weights that keep signals from vanishing or exploding, and make every part of normalisation matter."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("conv.weight"):
        return torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
    if key.endswith(("running_var", "bn.weight")):
        return torch.rand(shape, generator=generator) + 0.5
    return torch.randn(shape, generator=generator) * 0.1
