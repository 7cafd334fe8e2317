"""Compiling the stages of networks by ``torch.compile``, where that works and pays.

Stages built alike share their compiled code. Before the first step of such a kind, one stage runs forward and backward
both ways on the same inputs: only what computes the same in less time is compiled from then on. Everything else runs as
it is: in eval mode, without gradients, and where compiling fails.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import chain
from types import FunctionType
from typing import Any, Self

import torch
from torch import Tensor, nn

from i2i.contracts.branches import Branches, has_branches
from i2i.nn.calls import calls_in_batch
from i2i.training.network_stages import buffers_as, copied_buffers, stages

REPEATS = 10
"""Times that a stage is timed each way; the shortest counts."""

Forward = Callable[..., Any]

GAIN = 0.97
"""Share of the time of plain code that compiled code may take, so that noise does not decide."""

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Largest error of outputs and gradients, relative to their size, by the precision of autocast."""

_LOGGER = logging.getLogger(__name__)


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Leave parameters out of the graphs of the block: compiled code computes all gradients, even unused ones."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


class Compilation:
    """Lets stages of networks run compiled code in training where that works and pays; all names stay.

    Without a C++ compiler on a CPU, the networks stay as they are, and a note says so.

    Args:
        networks: The networks.
        device: The device they are on.
    """

    def __init__(self, networks: Iterable[nn.Module], device: torch.device) -> None:
        torch._functorch.config.donated_buffer = False  # losses may use a graph more than once
        self._device = device
        self._forwards: dict[Hashable, Forward] = {}
        self._choices: dict[str, bool] = {}
        self._failures: set[str] = set()
        self._reported = 0
        if device.type != "cpu" or _finds_compiler():
            for stage in chain.from_iterable(map(_compilable, networks)):
                stage.forward = _Compiling(stage, self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # copies of a stage need no trials of their own

    def forward_of(self, kind: Hashable, stage: nn.Module, inputs: tuple[Any, ...]) -> Forward:
        """Return the code that calls of this kind run, after a trial if it is the first."""
        if kind not in self._forwards:
            digest = hashlib.sha256(repr(kind).encode()).hexdigest()
            self._forwards[kind] = self._try(digest, stage, inputs) if self._choices.get(digest, True) else _forward
        return self._forwards[kind]

    def report(self) -> None:
        """Log how many kinds of stages run compiled code, if more have been tried than last time."""
        if len(self._forwards) > self._reported:
            self._reported = len(self._forwards)
            _LOGGER.warning("note: compiled code runs %s of %s kinds of stages.", self.compiled, self._reported)

    @property
    def compiled(self) -> int:
        """How many kinds of stages run compiled code."""
        return sum(forward is not _forward for forward in self._forwards.values())

    def state(self) -> dict[str, Tensor]:
        """Return which kinds pay and which do not, as tensors by a digest; those that failed are tried again."""
        return {digest: torch.tensor(choice, dtype=torch.uint8) for digest, choice in self._choices.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Keep the choices of an earlier `state`, without timing these kinds again."""
        self._choices = {digest: bool(choice) for digest, choice in state.items()}

    def _try(self, digest: str, stage: nn.Module, inputs: tuple[Any, ...]) -> Forward:
        compiled, trial = _compiled(self._device), _Trial(stage, inputs, self._device)
        try:
            error = _error(trial.run(compiled), trial.run(_forward))
        except Exception as failure:  # anything: compilers fail in many ways, and the stage can do without
            lines = str(failure).strip().splitlines()
            return self._leave(stage, ": ".join([type(failure).__name__, *lines[:1]]))
        if not error <= TOLERANCES.get(_precision(self._device), TOLERANCES[torch.float32]):
            return self._leave(stage, f"its results differ by {error:.1g}")
        if digest not in self._choices:
            self._choices[digest] = trial.is_faster(compiled)
        return compiled if self._choices[digest] else _forward

    def _leave(self, stage: nn.Module, reason: str) -> Forward:
        if reason not in self._failures:
            self._failures.add(reason)
            name = type(stage).__name__
            _LOGGER.warning("note: --compile leaves %s as it is, as it does others like it: %s", name, reason)
        return _forward


class _Compiling:
    """Replaces the ``forward`` of a stage; parameters and buffers keep their names."""

    def __init__(self, stage: nn.Module, compilation: Compilation) -> None:
        self._stage, self._compilation, self._layers = stage, compilation, str(stage)

    def __call__(self, *inputs: Any) -> Any:
        stage = self._stage
        if not (stage.training and torch.is_grad_enabled()):
            return _forward(stage, *inputs)
        return self._compilation.forward_of(self._kind(inputs), stage, inputs)(stage, *inputs)

    def _kind(self, inputs: tuple[Any, ...]) -> Hashable:
        """Return what the calls that share compiled code have in common."""
        learning = tuple((p.shape, p.requires_grad) for p in self._stage.parameters())
        return self._layers, learning, tuple(map(_layout, inputs)), calls_in_batch(), torch.get_num_threads()


class _Trial:
    """A forward and backward pass of a stage that leaves no trace."""

    def __init__(self, stage: nn.Module, inputs: tuple[Any, ...], device: torch.device) -> None:
        self._stage, self._device = stage, device
        self._inputs = [_detached(value) for value in inputs]
        wanted = [*stage.parameters(), *(value for value in self._inputs if isinstance(value, Tensor))]
        self._wanted = [tensor for tensor in wanted if tensor.requires_grad]

    def run(self, forward: Forward) -> list[Tensor]:
        """Return outputs and gradients."""
        devices = [self._device] if self._device.type == "cuda" else []
        with buffers_as(self._stage, copied_buffers(self._stage)), torch.random.fork_rng(devices):
            outputs = _tensors(forward(self._stage, *self._inputs))
            learned = [output for output in outputs if output.requires_grad]
            weights = [torch.linspace(-9, 9, y.numel(), device=y.device).sin().view(y.shape).to(y) for y in learned]
            gradients = torch.autograd.grad(learned, self._wanted, weights, allow_unused=True) if learned else ()
        return [output.detach() for output in outputs] + [g for g in gradients if g is not None]

    def is_faster(self, compiled: Forward) -> bool:
        """Return whether compiled code takes clearly less time than plain code; they take turns."""
        times = [(self.seconds(compiled), self.seconds(_forward)) for _ in range(REPEATS)]
        return min(quick for quick, _ in times) < GAIN * min(plain for _, plain in times)

    def seconds(self, forward: Forward) -> float:
        clock = time.process_time if self._device.type == "cpu" else time.perf_counter
        begun = clock()
        total = self.run(forward)[-1].sum()
        total.item()  # waits for the device
        return clock() - begun


def _forward(stage: nn.Module, *inputs: Any) -> Any:
    return type(stage).forward(stage, *inputs)


def _compiled(device: torch.device) -> Forward:
    """Return compiled code for one kind of stage, which is generated in the first call.

    It is compiled from a copy: torch would search all that is compiled from the same function in each call.
    """
    copied = FunctionType(_forward.__code__.replace(), _forward.__globals__)
    options: dict[str, Any] = {"fallback_random": True}  # draws the numbers that plain code would draw
    if device.type == "cpu":
        options["layout_optimization"] = False  # weight gradients of channels-last convolutions are slow
    return torch.compile(copied, fullgraph=True, dynamic=False, options=options)


@cache  # so that a run with two stages says it once
def _finds_compiler() -> bool:
    from torch._inductor.cpp_builder import get_cpp_compiler  # takes two seconds
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, OSError) as error:
        _LOGGER.warning("note: training without --compile, which needs a C++ compiler: %s. Install g++, or set CXX "
                        "to a compiler.", str(error).strip().splitlines()[0])  # fmt: skip
        return False
    return True


def _compilable(network: nn.Module) -> Iterator[nn.Module]:
    """Yield stages of several layers, and those within branches, whose choice by sample cannot be compiled."""
    for stage in stages(network):
        if isinstance(stage, Branches):
            for branch in stage.branches.values():
                yield from list(_compilable(branch)) or ([branch] if any(branch.children()) else [])
        elif not has_branches(stage) and any(stage.children()):
            yield stage


def _layout(value: Any) -> Hashable:
    if not isinstance(value, Tensor):
        return repr(value)
    return value.shape, value.stride(), value.dtype, value.requires_grad


def _detached(value: Any) -> Any:
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a stage's output.

    Raises:
        TypeError: It is neither a tensor nor a tuple or list of tensors.
    """
    tensors = list(value) if isinstance(value, tuple | list) else [value]
    other = next((type(each).__name__ for each in tensors if not isinstance(each, Tensor)), None)
    if other is not None:
        raise TypeError(f"its output holds a {other}, not only tensors")
    return tensors


def _precision(device: torch.device) -> torch.dtype:
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


def _error(actual: list[Tensor], desired: list[Tensor]) -> float:
    """Return the error of tensors relative to the size of them all; infinity if they differ in number."""
    if len(actual) != len(desired):
        return float("inf")
    errors = [(one.double() - other.double()).square().sum() for one, other in zip(actual, desired, strict=True)]
    size = sum(float(tensor.double().square().sum()) for tensor in desired)
    return float((sum(float(error) for error in errors) / size) ** 0.5) if size else float(max(errors, default=0.0))
