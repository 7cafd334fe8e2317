"""Data sets: folders of images, and the embedded drawings of people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Dataset


@hookimpl
def register_datasets() -> Iterable[type[Dataset]]:
    """Return the data sets."""
    from i2i_data.avatars import Avatars
    from i2i_data.emoji import Emoji
    from i2i_data.folders import Folders

    return [Folders, Emoji, Avatars]
