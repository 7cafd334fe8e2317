"""What feature networks share: normalised images, checked layers, and eval mode for good."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i import ConfigError, Pretrained
from i2i_features.normalised import Normalised, checked, square
from tests.plugins.i2i_features.conftest import noise
from tests.wording import refused


class Shaky(Normalised):
    """A network whose output would differ from call to call in training mode."""

    name, layers = "shaky", ("shallow", "middle", "deep")

    def __init__(self, mean: Sequence[float] = (0.25, 0.5, 0.5), std: Sequence[float] = (0.5, 0.25, 0.5)) -> None:
        super().__init__("", mean, std)
        self.network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))

    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """There are no weights."""

    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        return [self.network(self.normalised(x))]


def test_images_are_normalised() -> None:
    # -1, 0 and 1 are 0, 0.5 and 1 in [0, 1]
    x = torch.tensor([-1.0, 0.0, 1.0])[None, None, :, None].expand(1, 3, 3, 1)
    expected = [[-0.5, 0.5, 1.5], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]
    assert Shaky().normalised(x)[0, :, :, 0].tolist() == expected


def test_it_stays_in_eval_mode() -> None:
    around = nn.Sequential(Shaky().eval()).train()
    assert not any(module.training for module in around[0].modules())
    x = noise(8)
    assert torch.equal(around(x), around(x))


def test_gradients_reach_the_images() -> None:
    network, x = Shaky().requires_grad_(False), noise(8).requires_grad_()
    network.eval()(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_what_normalises_is_not_saved_but_moves_along() -> None:
    network = Shaky()
    assert set(network.state_dict()) == {f"network.{key}" for key in network.network.state_dict()}
    assert network.to(torch.float64).mean.dtype == torch.float64


def test_layers_come_from_shallow_to_deep() -> None:
    assert checked(["deep", "shallow"], Shaky()) == ["shallow", "deep"]
    with refused(ConfigError, "depe", "'deep'", "shallow, middle, deep"):
        checked(["depe"], Shaky())
    with refused(ConfigError, "deep"):
        checked(["deep", "middle", "deep"], Shaky())


def test_resizing_does_not_leave_the_range() -> None:
    edge = torch.ones(1, 3, 8, 8)
    edge[..., :4] = -1
    assert square(edge, 32).abs().max() == 1
    assert square(edge, 8) is edge
