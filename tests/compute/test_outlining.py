"""Building networks without weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.compute.outlining import without_weights


def test_what_fills_a_tensor_sets_only_its_shape() -> None:
    with without_weights():
        drawn = torch.randn(3, 2, dtype=torch.float64, generator=None)
        tensors = [drawn, torch.rand(3, 2), nn.init.normal_(torch.empty(3, 2)), F.normalize(torch.empty(3, 2))]
    assert all(tensor.is_meta and tensor.shape == (3, 2) for tensor in tensors)
    assert drawn.dtype == torch.float64


def test_layers_keep_their_parameters() -> None:
    with without_weights():
        layer = nn.Conv2d(3, 4, 5)
    assert {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()} == {
        "weight": (4, 3, 5, 5),
        "bias": (4,),
    }


def test_real_tensors_are_filled_as_ever() -> None:
    real = torch.zeros(3)
    with without_weights():
        real.normal_()
    assert real.abs().sum() > 0


def test_a_network_that_needs_numbers_fails() -> None:
    with pytest.raises(RuntimeError), without_weights():
        torch.ones(2).sum().item()
