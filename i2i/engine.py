"""The one module that knows lightning-fabric: devices, precision, joining other processes, random states, allocator."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from i2i.errors import ConfigError
from i2i.processes import Processes, several

PATIENCE = timedelta(days=1)  # that processes wait for the first one, which evaluates alone
KEEP_ALLOCATOR = "I2I_KEEP_ALLOCATOR"
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


class Engine:
    """Where and how exactly to compute.

    Started by torchrun, every process has an engine of its own, on the GPU of its local rank, or on the CPU; they talk
    by NCCL or gloo.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``32``, or ``bf16`` for bfloat16 autocast.
        threads: CPU threads; 0 leaves the choice to torch.

    Attributes:
        processes: All that share the training.

    Raises:
        ConfigError: The device is unknown or not there.
    """

    def __init__(self, device: str = "auto", precision: str = "32", threads: int = 0) -> None:
        tune_allocator()
        if threads:
            torch.set_num_threads(threads)
        try:
            with _quiet():
                self._fabric = Fabric(accelerator=device, precision=PRECISIONS[precision], **_spread())  # type: ignore[arg-type]
                self._fabric.launch()
        except (MisconfigurationException, RuntimeError, ValueError) as error:
            raise ConfigError(f"Device '{device}' cannot be used here ({error}). {_remedy()}") from error
        self.processes = Processes(self.device)

    @property
    def device(self) -> torch.device:
        """Where tensors go."""
        return self._fabric.device

    def describe(self) -> dict[str, str | int]:
        """Return what the last bits of a result depend on beside the options."""
        on = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else _processor()
        system = f"{platform.system()} {platform.machine()}"
        threads = torch.get_num_threads()
        return {"device": str(self.device), "processor": on, "processes": self.processes.count, "threads": threads,
                "torch": torch.__version__, "system": system}  # fmt: skip

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


def seed_process(seed: int, index: int) -> None:
    """Start the random generators of a process other than the first: each augments and samples in its own way."""
    seed_everything(int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) % 2**63)


def random_state() -> dict[str, Tensor]:
    """Return the state of every random generator of the process, as tensors; of accelerators only its own one's."""
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
    """Take back what `random_state` returned; accelerators that are not here are left out."""
    torch.set_rng_state(state["torch"].cpu())
    *words, position = state["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), position, 0, 0.0))
    version, *internal = state["python"].tolist()
    random.setstate((version, tuple(internal), None))
    own = f"cuda.{torch.cuda.current_device()}" if torch.cuda.is_available() else ""
    if own in state:
        torch.cuda.set_rng_state(state[own].cpu())


def _spread() -> dict[str, Any]:
    """Return what Fabric has to know of this process and those beside it."""
    if not several():
        return {"devices": 1}
    here, hosts = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))
    return {"devices": here, "num_nodes": hosts, "strategy": DDPStrategy(timeout=PATIENCE)}


def _remedy() -> str:
    """Say what else to do where a device cannot be used."""
    each = ", or start one process for each GPU" if several() else ""
    return f"Use --device auto or cpu{each}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Fabric from telling of every process and precision."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


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
