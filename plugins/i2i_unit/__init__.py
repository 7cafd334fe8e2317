"""UNIT: translation through a shared latent space (Liu et al. 2017, arXiv 1703.00848; code of Huang et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Backbone, CheckpointFormat, Discriminator, Generator, Loss


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return UNIT."""
    from i2i_unit.model import UNIT

    return [UNIT]


@hookimpl
def register_generators() -> Iterable[type[Generator]]:
    """Return its variational auto-encoder."""
    from i2i_unit.networks import VariationalGenerator

    return [VariationalGenerator]


@hookimpl
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return its multi-scale discriminator."""
    from i2i_unit.networks import MultiscaleDiscriminator

    return [MultiscaleDiscriminator]


@hookimpl
def register_losses() -> Iterable[type[Loss]]:
    """Return its loss terms, including the latent round trip, which its authors left at weight 0."""
    from i2i_unit.losses import CycleDivergence, Divergence, Latent, Reconstruction

    return [Divergence, Reconstruction, CycleDivergence, Latent]


@hookimpl
def register_formats() -> Iterable[type[CheckpointFormat]]:
    """Return the checkpoint format of UNIT's MUNIT-style release."""
    from i2i_unit.checkpoint import UNITRelease

    return [UNITRelease]
