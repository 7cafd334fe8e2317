"""The loss terms of the shipped backbones, the contrastive term of CUT, and two that tie new groups to the base."""

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
    from i2i_losses.correspondence import Correspondence
    from i2i_losses.elastic import Elastic

    return [
        terms.Adversarial, terms.Cycle, terms.Identity, terms.Cam, terms.GroupClassification, PatchNCE, Correspondence,
        Elastic,
    ]  # fmt: skip
