"""Groups by name: the base group first, and a clear message for a name that is not there."""

from __future__ import annotations

from collections.abc import Sequence

from i2i import DataError, did_you_mean


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
