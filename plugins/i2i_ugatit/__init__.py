"""U-GAT-IT: attention-guided translation with adaptive layer-instance normalisation (Kim et al., arXiv 1907.10830)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Backbone, CheckpointFormat, Discriminator, Generator


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return U-GAT-IT."""
    from i2i_ugatit.model import UGATIT

    return [UGATIT]


@hookimpl
def register_generators() -> Iterable[type[Generator]]:
    """Return its generator."""
    from i2i_ugatit.networks import AttentionGenerator

    return [AttentionGenerator]


@hookimpl
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return its pair of global and local discriminators."""
    from i2i_ugatit.networks import AttentionDiscriminator

    return [AttentionDiscriminator]


@hookimpl
def register_formats() -> Iterable[type[CheckpointFormat]]:
    """Return the format of UGATIT-pytorch."""
    from i2i_ugatit.checkpoint import UGATITPytorch

    return [UGATITPytorch]
