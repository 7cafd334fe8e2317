"""The paper's ablation: branches without selective back-propagation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from i2i import Route, Side, group_mean
from i2i_transfer.branch import Branch


class BranchFree(Branch):
    """As `branch`, but every sample updates everything that it passes: the trunk learns from the new groups, too."""

    name = "branch-free"

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Send the loss into everything; every group counts alike. ``cam_groups`` and ``updates`` do not matter."""
        yield Route(group_mean(losses, groups) * self._share(groups), list(self.networks[side].parameters()))
