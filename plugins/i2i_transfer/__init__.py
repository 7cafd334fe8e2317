"""Transfer strategies: how a trained base model is adapted to further groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Transfer


@hookimpl
def register_transfers() -> Iterable[type[Transfer]]:
    """Return the strategies."""
    from i2i import NoTransfer
    from i2i_transfer.adapter import Adapter
    from i2i_transfer.branch import Branch
    from i2i_transfer.branch_free import BranchFree
    from i2i_transfer.copies import Finetune, FreezeD
    from i2i_transfer.pooled import Joint, Mixed

    return [NoTransfer, Branch, BranchFree, Mixed, Joint, Finetune, FreezeD, Adapter]
