"""The paper's ablation: branches without selective back-propagation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from i2i_transfer.branch import Branch


class BranchFree(Branch):
    """Like `branch`, but every sample updates all layers it passes through: the trunk also learns from new groups."""

    name = "branch-free"

    class Config(Branch.Config):
        """Options of the ablation."""

        trunk: Literal["base", "all", "frozen"] = Field("all", description="Whose samples train the shared layers.")
