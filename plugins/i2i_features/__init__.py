"""Pretrained feature networks, and the losses and discriminators that use them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Discriminator, FeatureNetwork, Loss, WeightsSource


@hookimpl
def register_losses() -> Iterable[type[Loss]]:
    """Return the perceptual and face identity losses."""
    from i2i_features.identity import FaceIdentity
    from i2i_features.perceptual import Perceptual

    return [Perceptual, FaceIdentity]


@hookimpl
def register_features() -> Iterable[type[FeatureNetwork]]:
    """Return the feature networks."""
    from i2i_features.seeing import VGG16, AlexNet, CaffeVGG16
    from i2i_features.seeing_faces import DlibFace, MobileFaceNet
    from i2i_features.seeing_inception import Inception
    from i2i_features.seeing_timm import Timm

    return [AlexNet, VGG16, CaffeVGG16, Timm, Inception, DlibFace, MobileFaceNet]


@hookimpl
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return the discriminator on pretrained features."""
    from i2i_features.discriminator import TimmDiscriminator

    return [TimmDiscriminator]


@hookimpl
def register_weights() -> Iterable[WeightsSource]:
    """Return the sources of the plugin's network weights."""
    from i2i_features.sources import SOURCES

    return SOURCES
