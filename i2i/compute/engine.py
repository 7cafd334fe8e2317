"""Devices, precision and process start-up; the only module that uses lightning-fabric."""

from __future__ import annotations

import atexit
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.compute.allocator import tune_allocator
from i2i.compute.imports import hidden
from i2i.compute.processes import PATIENCE, Processes, leave, several
from i2i.errors import ConfigError

with hidden("torchmetrics"):  # which imports scipy, matplotlib and torchvision, just to compare its version
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


class Engine:
    """The device, precision and processes of a computation.

    Under torchrun each process has its own engine, on the GPU of its local rank or on the CPU; they communicate over
    NCCL or gloo.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``32``, or ``bf16`` for bfloat16 autocast.
        threads: CPU threads; 0 leaves the choice to torch, or to measurement in a training.

    Attributes:
        precision: ``32`` or ``bf16``.
        processes: All processes of the training.
        thread_counts: The numbers of CPU threads to choose from; a single one if the user chose it, on a GPU, and for
            several processes.

    Raises:
        ConfigError: The device is unknown or unavailable.
    """

    def __init__(self, device: str = "auto", precision: str = "32", threads: int = 0) -> None:
        tune_allocator()
        self.precision = precision
        if threads:
            torch.set_num_threads(threads)
        try:
            with _quiet():
                self._fabric = Fabric(accelerator=device, precision=PRECISIONS[precision], **_spread())  # type: ignore[arg-type]
                self._fabric.launch()
            if several():
                atexit.unregister(leave)
                atexit.register(leave)  # not at the end of a command: a process may run several
        except (MisconfigurationException, RuntimeError, ValueError) as error:
            raise ConfigError(f"Device '{device}' cannot be used here ({error}). {_remedy()}") from error
        self.processes = Processes(self.device)
        is_free = not threads and self.device.type == "cpu" and self.processes.count == 1
        self.thread_counts = tuple(sorted({1, torch.get_num_threads()})) if is_free else (torch.get_num_threads(),)

    @property
    def device(self) -> torch.device:
        """The device to put tensors on."""
        return self._fabric.device

    def describe(self) -> dict[str, str | int]:
        """Return everything, other than options, that affects the last bits of a result."""
        on = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else _processor()
        system = f"{platform.system()} {platform.machine()}"
        threads = torch.get_num_threads()
        return {"device": str(self.device), "processor": on, "processes": self.processes.count, "threads": threads,
                "torch": torch.__version__, "system": system}  # fmt: skip

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that runs forward passes at the chosen precision."""
        return self._fabric.autocast()

    def backward(self, loss: Tensor, leaves: Sequence[Tensor], retain_graph: bool = False) -> None:
        """Add the gradient of ``loss`` to ``leaves`` only; all other gradients stay as they are, even if None."""
        torch.autograd.backward(loss, inputs=list(leaves), retain_graph=retain_graph)


def _spread() -> dict[str, Any]:
    """Return Fabric's settings for the number and kind of processes."""
    if not several():
        return {"devices": 1}
    here, hosts = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))
    return {"devices": here, "num_nodes": hosts, "strategy": DDPStrategy(timeout=PATIENCE)}


def _remedy() -> str:
    """Return how to fix an unusable device."""
    each = ", or start one process for each GPU" if several() else ""
    return f"Use --device auto or cpu{each}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Fabric from logging every process and precision."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _processor() -> str:
    """Return the CPU's name; Python does not find it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
