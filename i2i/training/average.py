"""A moving average of the generators' weights, more stable than the weights of a single step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 0.05  # maximum half-life as a fraction of the steps done, so that short runs forget their start


class Average:
    """An exponential moving average of networks in training (Karras et al. 2018, arXiv 1710.10196, appendix B).

    Parameters are averaged; buffers, such as spectral normalisation vectors, are copied, since averaging them is
    meaningless. The half-life grows with the steps done, as in StyleGAN2-ADA, until ``decay`` is reached. Frozen
    parameters stay bit-identical.

    Args:
        networks: The networks in training, with their branches.
        decay: Fraction of the average kept per step, below 1.
    """

    def __init__(self, networks: nn.Module, decay: float) -> None:
        self.decay = decay
        self._networks = networks
        self._learned = frozenset(name for name, _ in networks.named_parameters(remove_duplicate=False))
        self._tensors = {name: tensor.clone() for name, tensor in networks.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after 1-based ``step``."""
        share = 1 - warmed_up(self.decay, step)
        for name, raw in self._networks.state_dict().items():
            average = self._tensors[name]
            average.lerp_(raw, share) if name in self._learned else average.copy_(raw)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Use the averaged weights inside the block, then restore the trained ones."""
        raw = {name: tensor.clone() for name, tensor in self._networks.state_dict().items()}
        self._give(self._tensors)
        try:
            yield
        finally:
            self._give(raw)

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights by name."""
        return dict(self._tensors)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the result of `state`."""
        for name, tensor in self._tensors.items():
            tensor.copy_(state[name])

    @torch.no_grad()
    def _give(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self._networks.state_dict().items():
            tensor.copy_(tensors[name])


def warmed_up(decay: float, step: int) -> float:
    """Return the decay at 1-based ``step``: ``decay``, or less early on.

    The half-life of the average, in steps, is at most ``WARM_UP`` of the steps done.
    """
    half_life = math.log(0.5) / math.log(decay)
    return float(0.5 ** (1 / min(half_life, WARM_UP * step)))
