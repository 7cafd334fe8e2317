from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from i2i.contracts.discriminator import Discriminator, GroupHead, Verdict, judges_each_alone
from i2i.nn.spectral import SpectralConv2d


class Ramp(Discriminator):
    """Features 0 1 2 / 3 4 5 / 6 7 8 in one channel, whatever it is shown."""

    name = "ramp"
    feature_channels = (1,)

    def forward(self, x: Tensor) -> Verdict:
        ramp = torch.arange(9.0).reshape(1, 1, 3, 3).expand(len(x), -1, -1, -1)
        return Verdict([x.mean((1, 2, 3))[:, None]], [], [ramp**2])


def test_the_group_head_averages_the_reflection_padded_map():
    judge = GroupHead(Ramp(Ramp.Config()), 3).eval()
    verdict = judge(torch.zeros(2, 3, 8, 8))
    # rows and columns 1 0 1 2 1 of a 3x3 map: the middle counts three times, the edges once each
    weights = torch.tensor([1.0, 3.0, 1.0])
    mean = (torch.arange(9.0).reshape(3, 3) ** 2 * weights[:, None] * weights).sum() / 25
    head = judge.heads[0]
    weight = head.weight.flatten(1)
    expected = (mean * weight / torch.dot(head.u, weight @ head.v)).flatten().expand(2, 3)
    torch.testing.assert_close(verdict.group_logits[0], expected)
    assert len(verdict.logits) == 1


def _judge(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), *layers)


@pytest.mark.parametrize(
    ("judge", "alone"),
    [
        (_judge(nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), SpectralConv2d(3, 3, 1)), True),
        (_judge(nn.BatchNorm2d(3)), False),
        (_judge(nn.BatchNorm2d(3).eval()), True),
        (_judge(nn.BatchNorm2d(3, track_running_stats=False).eval()), False),
        (_judge(nn.InstanceNorm2d(3, track_running_stats=True)), False),
        (_judge(nn.Dropout()), False),
        (_judge(nn.utils.spectral_norm(nn.Conv2d(3, 3, 1))), False),
        (_judge(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 3, 1))), False),
    ],
)
def test_layers_that_mix_samples_are_recognised(judge, alone):
    assert judges_each_alone(judge) == alone


def test_a_discriminator_can_say_that_it_mixes_samples():
    judge = Ramp(Ramp.Config())
    assert judges_each_alone(judge)
    judge.mixes_samples = True
    assert not judges_each_alone(GroupHead(judge, 3))
