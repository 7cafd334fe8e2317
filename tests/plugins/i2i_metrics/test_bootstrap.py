from __future__ import annotations

import torch

from i2i_metrics.bootstrap import bootstrap


def test_one_image_has_an_interval_of_no_width():
    score = bootstrap(torch.tensor([0.25]))
    assert (score.value, score.low, score.high, score.n) == (0.25, 0.25, 0.25, 1)


def test_the_interval_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    bootstrap(torch.randn(4, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)
