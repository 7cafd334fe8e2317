"""The base model as it is before a transfer, which losses of new groups compare with."""

from __future__ import annotations

import copy

from torch import nn

from i2i import keep_branch


def anchored(generators: nn.ModuleDict) -> nn.ModuleDict:
    """Return a frozen copy of the base group's generators, without branches, in eval mode."""
    anchor = copy.deepcopy(generators)
    keep_branch(anchor, None)
    return anchor.requires_grad_(False).eval()
