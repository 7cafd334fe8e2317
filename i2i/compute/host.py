"""Copies between the CPU and a device, such that the CPU waits for the device as rarely as possible.

A GPU works through a queue that the CPU fills. Whenever the CPU waits for a result, the queue runs empty, and the GPU
stands idle until the CPU has filled it again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_QUEUEING = frozenset({"cuda"})  # kinds of devices that queue copies from pinned memory


def upload(x: Tensor, device: torch.device | None) -> Tensor:
    """Copy a tensor from the CPU to a device, by default the CPU; CUDA queues the copy, and the CPU goes on.

    From memory that is not pinned, CUDA copies only after all work in the queue is done.
    """
    if device is not None and device.type in _QUEUEING:
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def download(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copy tensors of one device to the CPU, detached, all in one copy of the widest type, so that it waits once."""
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors]).cpu()
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape).to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)]
