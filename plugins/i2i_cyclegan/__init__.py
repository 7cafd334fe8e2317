"""CycleGAN: its generators, its patch discriminator and the whole model (Zhu et al. 2017, arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i.hookspecs import hookimpl

if TYPE_CHECKING:
    from i2i.backbone import Backbone
    from i2i.discriminator import Discriminator
    from i2i.generator import Generator


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return the CycleGAN."""
    from i2i_cyclegan.model import CycleGAN

    return [CycleGAN]


@hookimpl
def register_generators() -> Iterable[type[Generator]]:
    """Return the ResNet and the U-Net."""
    from i2i_cyclegan.networks import ResnetGenerator, UnetGenerator

    return [ResnetGenerator, UnetGenerator]


@hookimpl
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return the PatchGAN."""
    from i2i_cyclegan.networks import PatchDiscriminator

    return [PatchDiscriminator]
