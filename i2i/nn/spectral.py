"""Layers with spectral normalisation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _SpectralNorm:
    """Divide a layer's weight by its largest singular value, by one step of power iteration a training call.

    Miyato et al. 2018 (arXiv 1802.05957). ``weight`` stays the un-normalised parameter; U-GAT-IT's attention reads
    it. Torch's own parametrization iterates in another order and from another start, so that it cannot reproduce a
    published first iteration, and its older ``spectral_norm`` cannot be deep-copied, which branches need.
    """

    weight: Tensor
    u: Tensor
    v: Tensor
    training: bool
    register_buffer: Any

    def start(self) -> None:
        rows = self.weight.flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(rows.shape[0]), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(rows.shape[1]), dim=0, eps=1e-12))

    def normalised(self) -> Tensor:
        rows = self.weight.flatten(1)
        with torch.autocast(rows.device.type, enabled=False):  # the iteration stays in full precision
            if self.training:
                with torch.no_grad():
                    self.v = F.normalize(rows.T @ self.u, dim=0, eps=1e-12)
                    self.u = F.normalize(rows @ self.v, dim=0, eps=1e-12)
            return self.weight / torch.dot(self.u, rows @ self.v)


class SpectralConv2d(nn.Conv2d, _SpectralNorm):
    """A convolution with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, C, H, W)``."""
        return F.conv2d(x, self.normalised(), self.bias, self.stride, self.padding)


class SpectralLinear(nn.Linear, _SpectralNorm):
    """A linear layer with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, ``(N, in)``, to ``(N, out)``."""
        return F.linear(x, self.normalised(), self.bias)
