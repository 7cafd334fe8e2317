"""Seeding, saving and restoring the random generators of a process."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed every random generator of the process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_process(seed: int, index: int) -> None:
    """Seed the random generators of a process other than the first, so that each augments and samples differently."""
    seed_everything(int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) % 2**63)


def random_state() -> dict[str, Tensor]:
    """Return the state of every random generator of the process as tensors; of GPUs, only the current one."""
    twister: dict[str, Any] = np.random.get_state(legacy=False)["state"]
    version, internal, _ = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.tensor([*twister["key"].tolist(), int(twister["pos"])]),
        "python": torch.tensor([version, *internal]),
    }
    if torch.cuda.is_available():
        state[f"cuda.{torch.cuda.current_device()}"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Tensor]) -> None:
    """Restore the result of `random_state`; accelerators missing on this machine are skipped."""
    torch.set_rng_state(state["torch"].cpu())
    *words, position = state["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), position, 0, 0.0))
    version, *internal = state["python"].tolist()
    random.setstate((version, tuple(internal), None))
    current = f"cuda.{torch.cuda.current_device()}" if torch.cuda.is_available() else ""
    if current in state:
        torch.cuda.set_rng_state(state[current].cpu())
