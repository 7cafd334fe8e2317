"""Cases of which each run of the tests takes some, and ``-m full`` the others."""

from __future__ import annotations

from typing import Any

import pytest


def sampled(first: Any, *others: Any) -> list[Any]:
    """Return parameters of which the first is always tested, and the others with ``-m full``."""
    return [first, *(pytest.param(*_values(other), marks=pytest.mark.full) for other in others)]


def _values(parameters: Any) -> tuple[Any, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)
