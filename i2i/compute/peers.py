"""Who the processes of a training are, and which of them has ended."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 2.0  # seconds until the system shows the end of a process whose connections are closed already


@dataclass(frozen=True)
class Peer:
    """A process of a training.

    Attributes:
        index: Its rank, from 0.
        pid: Its process number on its host.
        host: The name of its host.
    """

    index: int
    pid: int
    host: str

    @property
    def is_here(self) -> bool:
        """Whether it runs on this host, so that its end can be seen."""
        return self.host == platform.node()

    def has_ended(self) -> bool:
        """Return whether the process, on this host, is gone, or dead and not yet reaped by its parent."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _state(self.pid) in ("Z", "X")


def ended(peers: Sequence[Peer], patience: float = PATIENCE) -> str:
    """Return a sentence, without its end, on who of these processes ended, waiting for the system to show it."""
    here = [peer for peer in peers if peer.is_here and peer.pid != os.getpid()]
    deadline = time.monotonic() + patience
    while not (gone := [peer for peer in here if peer.has_ended()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    if gone:
        names = " and ".join(f"{peer.index} (pid {peer.pid} on {peer.host})" for peer in gone)
        return f"Process {names} of {len(peers)} ended without a message"
    elsewhere = ", ".join(dict.fromkeys(peer.host for peer in peers if not peer.is_here))
    return f"Another process of this run{f' on {elsewhere}' if elsewhere else ''} ended without a message"


def _state(pid: int) -> str:
    """Return the state letter that Linux gives a process; elsewhere an empty text."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
