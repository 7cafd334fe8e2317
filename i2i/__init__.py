"""i2i: unpaired image-to-image translation that carries over to groups with only a handful of images.

The public names are imported on first use, so that ``import i2i`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "i2i.backbone": ["Backbone"],
    "i2i.branches": ["Branches", "branch", "branch_parameters", "has_branches", "parameters_without", "routed"],
    "i2i.checkpoint": ["load"],
    "i2i.config": ["Options", "check_group_name"],
    "i2i.dataset": ["Dataset"],
    "i2i.discriminator": ["Discriminator", "GroupHead", "Verdict"],
    "i2i.errors": ["CheckpointError", "ConfigError", "DataError", "I2IError", "PluginError", "UnknownComponentError"],
    "i2i.generator": ["Generator", "Translation"],
    "i2i.hookspecs": ["hookimpl", "hookspec"],
    "i2i.images": ["Batch", "list_images", "read_image", "write_image"],
    "i2i.loss": ["Loss", "Passes"],
    "i2i.metric": ["Metric", "Score"],
    "i2i.model": ["Model"],
    "i2i.plugins": ["Registry"],
    "i2i.transfer": ["NoTransfer", "Transfer", "group_mean"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'i2i' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
