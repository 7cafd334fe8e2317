"""A frozen network stays as it is; gradients pass through it."""

from __future__ import annotations

import torch
from torch import nn

from i2i_features.frozen import Frozen
from tests.plugins.i2i_features.conftest import noise


def frozen() -> Frozen:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    return Frozen(network, (0.25, 0.5, 0.5), (0.5, 0.25, 0.5))


def test_images_are_normalised() -> None:
    network = Frozen(nn.Identity(), (0.25, 0.5, 0.5), (0.5, 0.25, 0.5))
    # -1, 0 and 1 are 0, 0.5 and 1 in [0, 1]
    x = torch.tensor([-1.0, 0.0, 1.0])[None, None, :, None].expand(1, 3, 3, 1)
    expected = [[-0.5, 0.5, 1.5], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]
    assert network(x)[0, :, :, 0].tolist() == expected


def test_it_stays_in_eval_mode() -> None:
    around = nn.Sequential(frozen()).train()
    assert not any(module.training for module in around[0].modules())
    x = noise(8)
    assert torch.equal(around(x), around(x))


def test_gradients_reach_the_input_alone() -> None:
    network, x = frozen(), noise(8).requires_grad_()
    network(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert list(network.parameters())


def test_what_normalises_is_not_saved_but_moves_along() -> None:
    network = frozen()
    assert set(network.state_dict()) == {f"network.{key}" for key in network.network.state_dict()}
    assert network.to(torch.float64).mean.dtype == torch.float64
