from __future__ import annotations

import pytest

from i2i.compute.units import byte_size, clock, duration, millions


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (3599, "1 h 0 min"), (7320, "2 h 2 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61.9, "1:01"), (3599, "59:59"), (36_000, "10:00:00")])
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0.0 MiB"), (2**29, "512.0 MiB"), (3 * 2**29, "1.5 GiB"), (2**45, "32.0 TiB")]
)
def test_byte_size(count, text):
    assert byte_size(count) == text


@pytest.mark.parametrize(("count", "text"), [(1_234_567, "1.23 M"), (80_400_000, "80 M")])
def test_millions(count, text):
    assert millions(count) == text
