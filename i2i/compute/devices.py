"""Choosing a device without starting an engine."""

from __future__ import annotations

import os

import torch

from i2i.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Return the device ``cpu``, ``cuda`` or ``mps``, or for ``auto`` the fastest there is.

    Under torchrun each process of a machine gets a GPU of its own, as far as there are enough.

    Raises:
        ConfigError: The device is unknown or unavailable.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(one for one, is_there in available.items() if is_there)
    if not available.get(name):
        there = ", ".join(one for one, is_there in available.items() if is_there)
        raise ConfigError(f"Device '{name}' cannot be used here (there is: {there}). Use --device auto or cpu.")
    if name == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device(name)
