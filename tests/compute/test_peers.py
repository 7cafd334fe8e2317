"""Naming the process that has ended."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from i2i.compute.peers import Peer, ended

HERE = platform.node()


def test_a_dead_process_is_named_also_before_its_parent_reaps_it() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL) as dead:
        peers = [Peer(0, os.getpid(), HERE), Peer(1, dead.pid, HERE), Peer(2, os.getppid(), HERE)]
        assert ended(peers, patience=60) == f"Process 1 (pid {dead.pid} on {HERE}) of 3 ended without a message"
    assert peers[1].has_ended()


def test_a_process_elsewhere_is_narrowed_down_to_its_host() -> None:
    peers = [Peer(0, os.getpid(), HERE), Peer(1, 2**22 + 1, "elsewhere")]
    assert ended(peers, patience=0) == "Another process of this run on elsewhere ended without a message"


def test_nobody_is_accused_while_all_live() -> None:
    peers = [Peer(0, os.getpid(), HERE), Peer(1, os.getppid(), HERE)]
    assert ended(peers, patience=0) == "Another process of this run ended without a message"
