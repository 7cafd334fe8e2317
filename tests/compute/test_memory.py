from __future__ import annotations

import torch

from i2i.compute import memory
from i2i.compute.memory import machine_memory, peak_memory

CPU = torch.device("cpu")


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP", (limit, tmp_path / "missing"))
    limit.write_text("max\n")
    whole = machine_memory(CPU)
    limit.write_text("1048576\n")
    assert machine_memory(CPU) == 2**20
    assert whole is not None
    assert whole > 2**20


def test_the_peak_grows_with_what_is_allocated_and_stays():
    before = peak_memory(CPU)
    assert before is not None
    torch.ones((before + 2**28) // 4)
    after = peak_memory(CPU)
    assert after is not None
    assert after > before + 2**27
