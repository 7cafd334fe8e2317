"""The hooks of the plugin."""

from __future__ import annotations

import i2i_data
from i2i import Dataset
from i2i.registry.registry import Registry
from i2i_data.avatars import Avatars
from i2i_data.emoji import Emoji
from i2i_data.folders import Folders


def test_the_data_sets_are_found_by_name() -> None:
    registry = Registry(entry_points=[])
    registry.add(i2i_data, "data")
    assert registry.names(Dataset) == ["avatars", "emoji", "folder"]
    assert [registry.get(Dataset, name) for name in registry.names(Dataset)] == [Avatars, Emoji, Folders]
