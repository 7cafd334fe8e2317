"""Networks that look but never learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn


class Frozen(nn.Module):
    """A pretrained network that stays in eval mode and gets no gradients; its input does.

    Args:
        network: Takes images normalised as below.
        mean: Of red, green and blue in the images that it was trained on, for values in [0, 1].
        std: The same; normalised images are ``(x - mean) / std``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, rearrange(torch.tensor(values), "c -> c 1 1"), persistent=False)
        self.requires_grad_(False).train(False)

    def forward(self, x: Tensor) -> Any:
        """Return what the network makes of ``x``, ``(N, 3, H, W)`` in [-1, 1]."""
        return self.network(((x + 1) / 2 - self.mean) / self.std)

    def train(self, mode: bool = True) -> Frozen:
        """Stay in eval mode, whatever ``mode`` says: batch statistics would be those of another domain."""
        return super().train(False)
