"""The paper's ablation: branches without selective back-propagation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from i2i import Route, Side, group_mean
from i2i_transfer.branch import Branch


class BranchFree(Branch):
    """Like `branch`, but every sample updates all layers it passes through: the trunk also learns from new groups."""

    name = "branch-free"

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Update everything, with equal weight per group; ``cam_groups`` and ``updates`` have no effect."""
        yield Route(group_mean(losses, groups) * self._share(groups), list(self.networks[side].parameters()))
