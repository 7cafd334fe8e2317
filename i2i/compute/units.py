"""Costs and counts as text: times, amounts of memory, numbers of parameters."""

from __future__ import annotations

_BYTES = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "EiB": 2**60}


def duration(seconds: float) -> str:
    """Format a duration.

    Examples:
        >>> duration(3725)
        '1 h 2 min'
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """Format a duration as a clock does.

    Examples:
        >>> clock(289), clock(3725)
        ('4:49', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def byte_size(count: int) -> str:
    """Format a number of bytes.

    Examples:
        >>> byte_size(1_500_000_000)
        '1.4 GiB'
    """
    unit = max((name for name, size in _BYTES.items() if count >= size), key=_BYTES.__getitem__, default="MiB")
    return f"{count / _BYTES[unit]:,.1f} {unit}"


def is_or_are(count: int) -> str:
    """Return the verb for so many things.

    Examples:
        >>> is_or_are(1), is_or_are(2)
        ('is', 'are')
    """
    return "is" if count == 1 else "are"


def millions(count: int) -> str:
    """Format a number of parameters.

    Examples:
        >>> millions(1_234_567)
        '1.23 M'
    """
    return f"{count / 1e6:,.2f} M" if count < 1e7 else f"{count / 1e6:,.0f} M"
