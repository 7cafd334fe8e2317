"""The limits that the fuzz tests hold commands to."""

from __future__ import annotations

import mmap
import sys
import time

import numpy as np
import pytest

from tests.limits import Hang, bounded


def test_what_takes_little_passes() -> None:
    with bounded(5, 50):
        np.ones(2**20)


def spin() -> None:
    while True:
        pass


@pytest.mark.parametrize("wait", [lambda: time.sleep(60), spin], ids=["sleep", "loop"])
def test_a_hang_is_stopped(wait) -> None:
    with pytest.raises(Hang), bounded(2):
        wait()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_a_peak_of_memory_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"it took 1\d\d MiB"), bounded(60, 50):
        np.frombuffer(mmap.mmap(-1, 2**27), np.uint8)[:] = 1  # not from what the allocator keeps
