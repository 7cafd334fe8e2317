"""Memory: what the machine has, and the most that this process has used."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory(device: torch.device) -> int | None:
    """Return the memory of a device in bytes: that of the GPU, or the container's or machine's; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    known = [limit for limit in (_physical(), *map(_limit, _CGROUP)) if limit is not None]
    return min(known, default=None)


def peak_memory(device: torch.device) -> int | None:
    """Return the most memory in bytes that this process has used so far on a device; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _physical() -> int | None:
    with suppress(AttributeError, ValueError, OSError):  # unknown on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _limit(file: Path) -> int | None:
    """Return a control group's limit; None where there is none."""
    with suppress(OSError, ValueError):  # ValueError: the file says "max"
        return int(file.read_text(encoding="ascii"))
    return None
