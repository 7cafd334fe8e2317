"""The one module that knows lightning-fabric: devices, precision, random states, and the allocator."""

from __future__ import annotations

import ctypes
import os
import platform
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from i2i.errors import ConfigError

KEEP_ALLOCATOR = "I2I_KEEP_ALLOCATOR"
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


class Engine:
    """Where and how exactly to compute.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``32``, or ``bf16`` for bfloat16 autocast.
        threads: CPU threads; 0 leaves the choice to torch.

    Raises:
        ConfigError: The device is unknown or not there.
    """

    def __init__(self, device: str = "auto", precision: str = "32", threads: int = 0) -> None:
        tune_allocator()
        if threads:
            torch.set_num_threads(threads)
        try:
            self._fabric = Fabric(accelerator=device, devices=1, precision=PRECISIONS[precision])  # type: ignore[arg-type]
        except (MisconfigurationException, RuntimeError, ValueError) as error:
            raise ConfigError(f"Device '{device}' cannot be used here ({error}). Use --device auto or cpu.") from error

    @property
    def device(self) -> torch.device:
        """Where tensors go."""
        return self._fabric.device

    def describe(self) -> dict[str, str | int]:
        """Return what the last bits of a result depend on beside the options."""
        on = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else _processor()
        system = f"{platform.system()} {platform.machine()}"
        threads = torch.get_num_threads()
        return {"device": str(self.device), "processor": on, "threads": threads, "torch": torch.__version__,
                "system": system}  # fmt: skip

    def autocast(self) -> AbstractContextManager[None]:
        """Run forward passes inside at the chosen precision."""
        return self._fabric.autocast()

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter], retain_graph: bool = False) -> None:
        """Add the gradient of ``loss`` to ``parameters`` and to nothing else; all others keep theirs, None or not."""
        torch.autograd.backward(loss, inputs=list(parameters), retain_graph=retain_graph)


def seed_everything(seed: int) -> None:
    """Start every random generator of the process from ``seed``."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Tensor]:
    """Return the state of every random generator of the process, as tensors."""
    twister: dict[str, Any] = np.random.get_state(legacy=False)["state"]
    version, internal, _ = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.tensor([*twister["key"].tolist(), int(twister["pos"])]),
        "python": torch.tensor([version, *internal]),
    }
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return state | {f"cuda.{index}": own for index, own in enumerate(cuda)}


def set_random_state(state: dict[str, Tensor]) -> None:
    """Take back what `random_state` returned; accelerators that are not here are left out."""
    torch.set_rng_state(state["torch"].cpu())
    *words, position = state["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), position, 0, 0.0))
    version, *internal = state["python"].tolist()
    random.setstate((version, tuple(internal), None))
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in state:
            torch.cuda.set_rng_state(state[f"cuda.{index}"].cpu(), index)


def _processor() -> str:
    """Return the CPU's name; only Linux keeps it where Python does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def tune_allocator() -> None:
    """Keep freed memory in the process: glibc else returns big blocks, and faults them in again, every step.

    1.5 times faster training at 128 px for 2-8 % more memory. ``I2I_KEEP_ALLOCATOR=1`` leaves it alone.
    """
    if platform.libc_ver()[0] != "glibc" or os.environ.get(KEEP_ALLOCATOR):
        return
    libc = ctypes.CDLL("libc.so.6")
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 512 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        libc.mallopt(option, value)
