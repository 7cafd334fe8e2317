"""The processes of a training: communication, and work that only the first one does.

Nothing is wrapped: each process holds plain modules, and gradients are averaged before each optimizer step. Every
method of `Processes` is a collective: all processes must call it, in the same order. A single process needs no process
group, and its calls return at once.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn

from i2i.compute.peers import Peer, ended
from i2i.errors import ConfigError, I2IError, ProcessError

T = TypeVar("T")

PATIENCE = timedelta(days=1)  # how long processes wait for one that works alone

_CARD = 256  # bytes in which a process introduces itself
BUCKET = 2**25  # gradients averaged per message; larger buckets save no time and need twice their size in memory


class Processes:
    """All processes of a training, as seen by one of them; just one without a process group.

    Args:
        device: Where this process computes.

    Attributes:
        device: Where this process computes.
        count: Number of processes.
        index: Rank of this process, from 0.

    Raises:
        ProcessError: Another process ended before or during a collective.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        several = dist.is_available() and dist.is_initialized()
        self.count, self.index = (dist.get_world_size(), dist.get_rank()) if several else (1, 0)
        self._peers = self._introduced() if several else []

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files, shows progress and evaluates."""
        return self.index == 0

    def largest(self, number: int) -> int:
        """Return the largest number over all processes."""
        if self.count == 1:
            return number
        return int(self._reduced(torch.tensor(number, device=self.device), dist.ReduceOp.MAX))

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return bool(self.largest(int(flag)))

    def mean(self, values: Tensor) -> Tensor:
        """Return the elementwise mean over all processes."""
        return self._reduced(values.clone(), dist.ReduceOp.SUM) / self.count

    def join(self, values: Tensor) -> Tensor:
        """Concatenate the ``(N, ...)`` of all processes along the batch, in process order; N may differ."""
        if self.count == 1:
            return values
        most = self.largest(len(values))
        padded = torch.cat([values, values.new_zeros(most - len(values), *values.shape[1:])])
        parts, counts = self._gathered(padded), self._gathered(torch.tensor([len(values)], device=self.device))
        return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])

    def gather(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return each process's tensors by name, in process order; only the first gets those of others."""
        if self.count == 1:
            return [dict(tensors)]
        packed = _bytes(save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}), self.device)
        sizes = self.join(torch.tensor([len(packed)], device=self.device)).tolist()
        if not self.first:
            with self._meeting():
                dist.send(packed, 0)
            return [dict(tensors)]
        received = (self._received(index, size) for index, size in enumerate(sizes) if index)
        return [dict(tensors), *map(load, received)]

    def share(self, module: nn.Module) -> None:
        """Copy the first process's weights and buffers to all others."""
        for tensor in module.state_dict().values() if self.count > 1 else ():
            sent = tensor.contiguous()
            with self._meeting():
                dist.broadcast(sent, 0)
            tensor.copy_(sent)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average gradients over processes; a gradient that is None everywhere stays None, so optimizers skip it.

        A gradient missing in only some processes counts as zeros.
        """
        if self.count == 1:
            return
        has = torch.tensor([parameter.grad is not None for parameter in parameters], device=self.device).int()
        reached = self._reduced(has, dist.ReduceOp.MAX).tolist()
        for bucket in _buckets([p for p, anywhere in zip(parameters, reached, strict=True) if anywhere]):
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bucket])
            mean = self._reduced(flat, dist.ReduceOp.SUM) / self.count
            for parameter, part in zip(bucket, torch.split(mean, [p.numel() for p in bucket]), strict=True):
                parameter.grad = part.view_as(parameter)

    def once(self, action: Callable[[], object]) -> None:
        """Run ``action`` in the first process while the others wait.

        Raises:
            ProcessError: In the others, with the same message, if ``action`` raised in the first.
        """
        if self.count == 1:
            action()
            return
        failure = _failure(action) if self.first else None
        message = self.join(_bytes(_message(failure).encode(), self.device))
        if len(message):
            raise failure or ProcessError(bytes(message.tolist()).decode(), reported=True)

    def _introduced(self) -> list[Peer]:
        """Return all processes, in process order."""
        card = f"{os.getpid()} {platform.node()}".encode()[:_CARD].ljust(_CARD)
        cards = self.join(_bytes(card, self.device)[None])
        pairs = (bytes(row).decode(errors="replace").strip().split(" ", 1) for row in cards.tolist())
        return [Peer(index, int(pid), host) for index, (pid, host) in enumerate(pairs)]

    @contextmanager
    def _meeting(self) -> Iterator[None]:
        """Name the process that ended if communication fails in the block.

        As torchrun sends SIGTERM to all when one has ended, SIGTERM is ignored from then on: this process ends with its
        message, and not before.
        """
        try:
            yield
        except RuntimeError as error:
            if threading.current_thread() is threading.main_thread():  # no other may set what a signal does
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise ProcessError(f"{ended(self._peers)}, perhaps out of memory. Resume with --resume.") from error

    def _reduced(self, values: Tensor, how: dist.ReduceOp.RedOpType) -> Tensor:
        if self.count > 1:
            with self._meeting():
                dist.all_reduce(values, how)
        return values

    def _received(self, index: int, size: int) -> bytes:
        packed = torch.empty(size, dtype=torch.uint8, device=self.device)
        with self._meeting():
            dist.recv(packed, index)
        return packed.cpu().numpy().tobytes()

    def _gathered(self, values: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(values) for _ in range(self.count)]
        with self._meeting():
            dist.all_gather(parts, values.contiguous())
        return parts


def several() -> bool:
    """Return whether torchrun started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def share(work: Sequence[T]) -> Sequence[T]:
    """Return this process's part of some work that needs no communication: every n-th item, from its rank on.

    ``RANK`` and ``WORLD_SIZE`` say which; torchrun sets them, and so can anything else that starts processes.

    Raises:
        ConfigError: They are no rank and number of processes.
    """
    rank, count = (os.environ.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise ConfigError(f"RANK={rank} does not fit WORLD_SIZE={count}. Ranks count from 0 to WORLD_SIZE - 1.")
    return work[int(rank) :: int(count)]


def add_up(number: int, name: str) -> int:
    """Return the sum of a number over all processes that torchrun started, once each of them has called this.

    It needs no process group, and so suits processes that only share out work. As torchrun ends all processes when one
    fails, they meet here before one does.

    Args:
        number: This process's.
        name: Tells several sums apart.
    """
    if not several():
        return number
    store, key = _store(PATIENCE), f"i2i/{name}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    store.add(f"{key}/sum", number)
    if store.add(f"{key}/processes", 1) == int(os.environ["WORLD_SIZE"]):
        store.set(f"{key}/complete", "")
    store.wait([f"{key}/complete"])
    return int(store.add(f"{key}/sum", 0))


def leave() -> None:
    """Destroy the process group, if there is one, without waiting for other processes.

    Its threads must end before the interpreter does: a running one would abort the whole process.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def should_show(error: BaseException | None) -> bool:
    """Return whether this process should show an error, so that users see it once.

    The first process to fail shows it, unless its error only reports the failure of another.
    """
    if not several():
        return True
    if isinstance(error, ProcessError) and error.reported:
        return False
    try:
        store = _store(timedelta(seconds=10))
        return bool(store.add(f"i2i/failed/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", 1) == 1)
    except (RuntimeError, KeyError):  # the counting process is missing or gone
        return os.environ.get("RANK") == "0"


def _store(patience: timedelta) -> Any:
    """Return torchrun's store of values that all processes see."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(host, port, is_master=False, timeout=patience)  # type: ignore[attr-defined]


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield lists of one type with at most ``BUCKET`` elements; a larger parameter gets a list to itself."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and (size + parameter.numel() > BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


def _failure(action: Callable[[], object]) -> Exception | None:
    try:
        action()
    except Exception as error:
        return error
    return None


def _message(failure: Exception | None) -> str:
    if failure is None:
        return ""
    return str(failure) if isinstance(failure, I2IError) else f"{type(failure).__name__}: {failure}"


def _bytes(content: bytes, device: torch.device) -> Tensor:
    return torch.tensor(list(content), dtype=torch.uint8, device=device)
