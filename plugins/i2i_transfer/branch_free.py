"""The paper's ablation: branches without selective back-propagation."""

from __future__ import annotations

from pydantic import Field

from i2i_transfer.branch import Branch, Trunk


class BranchFree(Branch):
    """Like `branch`, but every sample updates all layers it passes through: the trunk also learns from new groups."""

    name = "branch-free"

    class Config(Branch.Config):
        """Options of the ablation."""

        trunk: Trunk = Field("all", description="Whose samples train the shared layers.")
