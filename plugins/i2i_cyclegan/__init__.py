"""CycleGAN: its generators, its discriminators and the whole model (Zhu et al. 2017, arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Backbone, CheckpointFormat, Discriminator, Generator


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return CycleGAN."""
    from i2i_cyclegan.model import CycleGAN

    return [CycleGAN]


@hookimpl
def register_generators() -> Iterable[type[Generator]]:
    """Return the ResNet and the U-Net."""
    from i2i_cyclegan.networks import ResnetGenerator, UnetGenerator

    return [ResnetGenerator, UnetGenerator]


@hookimpl
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return the PatchGAN and the pixel discriminator."""
    from i2i_cyclegan.discriminators import PatchDiscriminator, PixelDiscriminator

    return [PatchDiscriminator, PixelDiscriminator]


@hookimpl
def register_formats() -> Iterable[type[CheckpointFormat]]:
    """Return the format of pytorch-CycleGAN-and-pix2pix."""
    from i2i_cyclegan.checkpoint import PytorchCycleGAN

    return [PytorchCycleGAN]
