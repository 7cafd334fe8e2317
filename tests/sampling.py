"""Cases of which each run of the tests takes some, and ``-m full`` the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import pytest


def sampled(first: Any, *others: Any) -> list[Any]:
    """Return parameters of which the first is always tested, and the others with ``-m full``."""
    return [first, *(pytest.param(*_values(other), marks=pytest.mark.full) for other in others)]


def alternated(names: Sequence[Any], ways: Sequence[Any]) -> list[Any]:
    """Return all pairs of a name and a way; always tested is one way per name, in turn, the others with ``-m full``."""
    always = {(index, index % len(ways)) for index in range(len(names))}
    pairs = product(range(len(names)), range(len(ways)))
    return [
        pytest.param(names[pair[0]], ways[pair[1]], marks=() if pair in always else pytest.mark.full) for pair in pairs
    ]


def costly(cases: Iterable[Any], is_costly: Callable[[Any], bool]) -> list[Any]:
    """Return parameters of which the costly ones are tested with ``-m full`` only."""
    return [pytest.param(*_values(case), marks=pytest.mark.full if is_costly(case) else ()) for case in cases]


def _values(parameters: Any) -> tuple[Any, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)
