"""The loss terms of the shipped backbones, and the contrastive term of CUT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Loss


@hookimpl
def register_losses() -> Iterable[type[Loss]]:
    """Return the loss terms."""
    from i2i_losses import terms
    from i2i_losses.contrastive import PatchNCE

    return [terms.Adversarial, terms.Cycle, terms.Identity, terms.Cam, terms.GroupClassification, PatchNCE]
