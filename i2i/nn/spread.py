"""How much the samples of a batch differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from i2i.nn.calls import calls_in_batch
from i2i.nn.moments import widen


class MinibatchStd(nn.Module):
    """Append a map of how much the samples of a batch differ: their standard deviation at each place, over channels.

    Karras et al. 2018 (arXiv 1710.10196), section 3, against generators that draw everybody alike: a discriminator
    then sees that fakes differ less than real images. There the map is averaged over places, too; here it is not, so
    that a background that never differs does not hide faces that should. Variances are unbiased, so that the size of
    a batch does not show; the map of a single sample is nearly zero. Groups with branches, and the calls of a batch
    (`as_calls`), have a map each.
    """

    eps = 1e-8

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C + 1, H, W)``."""
        return self.jointly([self], x)

    @classmethod
    def jointly(cls, layers: Sequence[Self], x: Tensor) -> Tensor:
        """Do so with each layer's equal share of ``x``, ``(N, C, H, W)``."""
        shares = rearrange(widen(x), "(shares n) c h w -> shares n c h w", shares=len(layers) * calls_in_batch())
        samples = shares.shape[1]
        deviations = (shares.var(1, correction=min(1, samples - 1)) + cls.eps).sqrt()
        maps = reduce(deviations, "shares c h w -> shares 1 h w", "mean").to(x.dtype)
        return torch.cat([x, repeat(maps, "shares one h w -> (shares n) one h w", n=samples)], 1)
