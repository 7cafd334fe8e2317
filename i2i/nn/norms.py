"""Normalisation layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerInstanceNorm(nn.Module):
    """``gamma * (rho * IN(x) + (1 - rho) * LN(x)) + beta``, rho in [0, 1] a channel (AdaLIN).

    Kim et al. 2020 (U-GAT-IT, arXiv 1907.10830), section 2.1.2. Variances are unbiased. Given ``gamma`` and ``beta`` a
    sample it is AdaLIN; with its own parameters, ILN.

    Args:
        channels: Width.
        rho: Start of rho; published: 0.9 when steered, 0 else.
        own: Learn gamma and beta, instead of being given them.
    """

    eps = 1e-5

    def __init__(self, channels: int, rho: float, own: bool) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), rho))
        if own:
            self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``; ``gamma`` and ``beta`` are ``(N, C)``."""
        gain = self.gamma if gamma is None else gamma[:, :, None, None]
        bias = self.beta if beta is None else beta[:, :, None, None]
        var, mean = torch.var_mean(x, (2, 3), correction=1, keepdim=True)
        layer_var, layer_mean = _pool_statistics(var, mean, x.shape[2] * x.shape[3])
        by_channel, by_layer = (
            self.rho * torch.rsqrt(var + self.eps),
            (1 - self.rho) * torch.rsqrt(layer_var + self.eps),
        )
        scale = gain * (by_channel + by_layer)
        return torch.addcmul(bias - gain * (by_channel * mean + by_layer * layer_mean), x, scale)

    @torch.no_grad()
    def clip(self) -> None:
        """Clip rho to [0, 1]; called after every update."""
        self.rho.clamp_(0, 1)


def _pool_statistics(var: Tensor, mean: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return unbiased variance and mean over all channels, exactly, from each channel's."""
    whole = mean.mean(1, keepdim=True)
    squares = (pixels - 1) * var.sum(1, keepdim=True) + pixels * (mean - whole).square().sum(1, keepdim=True)
    return squares / (pixels * mean.shape[1] - 1), whole
