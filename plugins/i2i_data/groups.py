"""Groups by name: the base group first, how many images each has, and a clear message for an unknown name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from i2i import DataError, did_you_mean

if TYPE_CHECKING:
    from i2i import Domain

Shots = dict[str, tuple[PositiveInt, PositiveInt]]
"""Group to how many source and target images it has to learn from."""


def put_first(base: str, groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups in their order, but ``base`` first."""
    return (base, *(group for group in groups if group != base))


def check_known(group: str, groups: Sequence[str], asked_by: str) -> str:
    """Return ``group`` when it is one of ``groups``.

    Args:
        group: The requested name.
        groups: The names that there are.
        asked_by: What opens the message: an option or a data set.

    Raises:
        DataError: It is not; the message names the nearest.
    """
    if group not in groups:
        raise DataError(
            f"{asked_by} has no group '{group}'.{did_you_mean(group, groups)} Choose one of: {', '.join(groups)}."
        )
    return group


def complete_shots(given: Shots, defaults: Shots, groups: Sequence[str]) -> Shots:
    """Return the shots of every group: those given, and the default for any other.

    Raises:
        ValueError: One is given for a group that does not exist.
    """
    for group in [group for group in given if group not in groups]:
        raise ValueError(f"there is no group '{group}', only {', '.join(groups)}")
    return {**defaults, **given}


def shots_of(group: str, domain: Domain, shots: Shots, base: str) -> int | None:
    """Return how many images of a domain a group has to learn from; None: all, as the base group always has."""
    pair = None if group == base else shots.get(group)
    return pair and pair["ab".index(domain)]
