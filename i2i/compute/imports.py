"""Keeping one library from importing another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Make ``package`` look missing inside the block, for a library that imports it but works without it.

    A package that is imported already stays visible.
    """
    modules: dict[str, Any] = sys.modules  # None makes an import raise ImportError
    hides = package not in modules
    if hides:
        modules[package] = None
    try:
        yield
    finally:
        if hides:
            del modules[package]
