from __future__ import annotations

import torch
from torch import Tensor

from i2i.contracts.discriminator import Discriminator, GroupHead, Verdict


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
    expected = (mean * judge.heads[0].normalised().flatten()).expand(2, 3)
    torch.testing.assert_close(verdict.group_logits[0], expected)
    assert len(verdict.logits) == 1
