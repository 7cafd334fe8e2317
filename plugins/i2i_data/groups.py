"""The order of groups, their numbers of images, and the message for an unknown group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from i2i import DataError, did_you_mean

if TYPE_CHECKING:
    from i2i import Domain

Shots = dict[str, tuple[PositiveInt, PositiveInt]]
"""Number of source and target images for training, by group."""


def put_first(base: str, groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups in order, but with ``base`` first."""
    return (base, *(group for group in groups if group != base))


def check_known(group: str, groups: Sequence[str], asked_by: str) -> str:
    """Return ``group`` when it is one of ``groups``.

    Args:
        group: The requested name.
        groups: The existing names.
        asked_by: The start of the message: an option or a data set.

    Raises:
        DataError: It is not; the message suggests the nearest name.
    """
    if group not in groups:
        raise DataError(
            f"{asked_by} has no group '{group}'.{did_you_mean(group, groups)} Choose one of: {', '.join(groups)}."
        )
    return group


def complete_shots(given: Shots, defaults: Shots, groups: Sequence[str]) -> Shots:
    """Return the given shots, completed by the defaults of the other groups.

    Raises:
        ValueError: ``given`` names a group that does not exist.
    """
    for group in [group for group in given if group not in groups]:
        raise ValueError(f"there is no group '{group}', only {', '.join(groups)}")
    return {**defaults, **given}


def shots_of(group: str, domain: Domain, shots: Shots, base: str) -> int | None:
    """Return how many images of a domain a group has for training; None for all, as always for the base group."""
    pair = None if group == base else shots.get(group)
    return pair and pair["ab".index(domain)]
