"""Looking through what other projects wrap around the networks in a checkpoint, and saying so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

KEYS = ("g_ema", "state_dict", "model_state_dict", "model")
"""Keys that hold the networks in common checkpoints; of several, the first is taken."""
_PREFIXES = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}


def unwrapped(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what is inside the wrappers of a checkpoint, and the keys that led there; none if it has no wrapper."""
    path: tuple[str, ...] = ()
    while (key := next((key for key in KEYS if _holds_tensors(content.get(key))), None)) is not None:
        content, path = content[key], (*path, key)
    return content, path


def prefixes(content: Mapping[str, Any]) -> list[str]:
    """Return who prefixed the keys in a checkpoint, such as DataParallel."""
    starts = {match[0] for key in _keys(content) if (match := re.match(r"(?:module\.|_orig_mod\.)+", key))}
    return [who for prefix, who in _PREFIXES.items() if any(prefix in start for start in starts)]


def precisions(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the types of real numbers other than float32 among tensors."""
    types = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    return sorted(name for one in types if (name := str(one).removeprefix("torch.")) != "float32")


def _holds_tensors(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(one, Tensor) or _holds_tensors(one) for one in value.values())


def _keys(content: Mapping[str, Any]) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Tensor):
            yield str(key)
        elif isinstance(value, Mapping):
            yield from _keys(value)
