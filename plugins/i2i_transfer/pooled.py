"""The paper's first two baselines: groups are pooled, and one model without branches learns from all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from i2i.backbone import Backbone
from i2i.transfer import Route, Routes, group_mean
from i2i_transfer.fewshot import FewShot


class Pooled(FewShot):
    """One model for every group, all of it updated by whatever is drawn (abstract)."""

    def adapt(self, model: Backbone) -> None:
        """Leave the model as it is."""

    def route(self, networks: nn.Module, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Routes:
        """Send the loss into everything; every group counts alike."""
        yield Route(group_mean(losses, groups), list(networks.parameters()))


class Mixed(Pooled):
    """Train one model on all groups from scratch; the base model is not used (baseline 1 of arXiv 2007.13332)."""

    name = "mixed"
    from_scratch = True

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of all groups together."""
        return [(self.base, *self.groups) * self.samples(batch_size)]


class Joint(Pooled):
    """Train the whole base model on the new groups together, for all of them (baseline 2 of arXiv 2007.13332)."""

    name = "joint"

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of the new groups together."""
        return [self.groups * self.samples(batch_size)]
