"""Networks that draw random numbers."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.dropout import _DropoutNd


def is_stochastic(network: nn.Module) -> bool:
    """Return whether a call may draw random numbers: a module is ``stochastic`` or a dropout, in training mode."""
    return any(m.training and (isinstance(m, _DropoutNd) or getattr(m, "stochastic", False)) for m in network.modules())
