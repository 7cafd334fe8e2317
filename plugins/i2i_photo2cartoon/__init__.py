"""photo2cartoon: hourglass blocks and Soft-AdaLIN, the base model of Zhuang & Yang (arXiv 2007.13332)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Backbone, CheckpointFormat, Generator


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return photo2cartoon."""
    from i2i_photo2cartoon.model import Photo2Cartoon

    return [Photo2Cartoon]


@hookimpl
def register_generators() -> Iterable[type[Generator]]:
    """Return its generator."""
    from i2i_photo2cartoon.networks import HourglassGenerator

    return [HourglassGenerator]


@hookimpl
def register_formats() -> Iterable[type[CheckpointFormat]]:
    """Return the formats of photo2cartoon, and of the paper that builds on it."""
    from i2i_photo2cartoon.checkpoint import Photo2CartoonFile
    from i2i_photo2cartoon.fewshot import FewShotFile

    return [Photo2CartoonFile, FewShotFile]
