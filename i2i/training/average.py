"""A moving average of the generators' weights, which translates more evenly than the weights of any one step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 0.05  # of the steps done: the longest half-life, so that short trainings forget their start


class Average:
    """The exponential moving average of networks that are trained (Karras et al. 2018, arXiv 1710.10196, appendix B).

    Parameters are averaged; buffers, such as the vectors of spectral normalisation, are copied, since an average of
    them means nothing. The half-life grows with the steps done, as in StyleGAN2 with ADA, until ``decay`` is reached.
    What does not learn keeps its bits.

    Args:
        networks: The networks in training, with their branches.
        decay: The share of the average that remains after a step, below 1.
    """

    def __init__(self, networks: nn.Module, decay: float) -> None:
        self.decay = decay
        self._networks = networks
        self._learned = frozenset(name for name, _ in networks.named_parameters(remove_duplicate=False))
        self._tensors = {name: tensor.clone() for name, tensor in networks.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the networks as they are after 1-based ``step``."""
        share = 1 - warmed_up(self.decay, step)
        for name, raw in self._networks.state_dict().items():
            own = self._tensors[name]
            own.lerp_(raw, share) if name in self._learned else own.copy_(raw)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Let the networks have the averaged weights in this block, and their own again after it."""
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
        """Take back what `state` returned."""
        for name, own in self._tensors.items():
            own.copy_(state[name])

    @torch.no_grad()
    def _give(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self._networks.state_dict().items():
            tensor.copy_(tensors[name])


def warmed_up(decay: float, step: int) -> float:
    """Return what remains of the average at 1-based ``step``: ``decay``, or less while that would be too slow.

    The half-life of the average, in steps, is at most ``WARM_UP`` of the steps done.
    """
    half_life = math.log(0.5) / math.log(decay)
    return float(0.5 ** (1 / min(half_life, WARM_UP * step)))
