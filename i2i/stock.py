"""What the core itself provides, registered by the route that every plugin takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i.hookspecs import hookimpl

if TYPE_CHECKING:
    from i2i.loss import Loss
    from i2i.transfer import Transfer


@hookimpl
def register_losses() -> Iterable[type[Loss]]:
    """Return the stock loss terms."""
    from i2i import losses
    from i2i.contrastive import PatchNCE

    return [losses.Adversarial, losses.Cycle, losses.Identity, losses.Cam, losses.Group, PatchNCE]


@hookimpl
def register_transfers() -> Iterable[type[Transfer]]:
    """Return the strategy that trains the base group alone."""
    from i2i.transfer import NoTransfer

    return [NoTransfer]
