"""The size of a model: counting its parameters, and refusing networks that no machine holds before building them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from i2i.compute.memory import machine_memory
from i2i.compute.units import byte_size, millions
from i2i.contracts.backbone import Backbone
from i2i.errors import ConfigError
from i2i.models.components import Configured

MOST_TENSORS = 4000
"""Tensors of one network; a residual network of 1001 layers has some 3000."""
FLOAT = torch.finfo(torch.float32).bits // 8
_FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full})


@dataclass(frozen=True)
class ModelSize:
    """Numbers of parameters.

    Attributes:
        generators: In both generators; shared parameters count once.
        discriminators: In both discriminators.
    """

    generators: int
    discriminators: int

    @classmethod
    def of(cls, backbone: Backbone) -> ModelSize:
        """Count the parameters of a model."""
        return cls(_count(backbone.generators), _count(backbone.discriminators))

    @property
    def total(self) -> int:
        """All parameters."""
        return self.generators + self.discriminators

    def __str__(self) -> str:
        return f"generators {millions(self.generators)}, discriminators {millions(self.discriminators)} parameters"


@contextmanager
def bounded(kind: str, part: Configured[Any], networks: int = 1) -> Iterator[None]:
    """Refuse the networks built in this block, before they are complete, if their weights exceed the machine's memory.

    Args:
        kind: The kind of component, for messages.
        part: The component.
        networks: The number of networks.

    Raises:
        ConfigError: The weights need more memory than the machine has, or there are more than ``MOST_TENSORS``
            per network.
    """
    memory = machine_memory(torch.device("cpu"))

    def check(tensors: int, numbers: int) -> None:
        needed = numbers * FLOAT
        if memory is not None and needed > memory:
            reason = f"needs at least {byte_size(needed)} for its weights, and this machine has {byte_size(memory)}"
            raise ConfigError(f"The {kind} '{part.component.name}' {reason}. Lower {_largest(kind, part)}.")
        if tensors > MOST_TENSORS * networks:
            reason = f"has more than {MOST_TENSORS:,} tensors of weights"
            raise ConfigError(f"The {kind} '{part.component.name}' {reason}. Lower {_largest(kind, part)}.")

    with _Counting(check):
        yield


class _Counting(TorchFunctionMode):
    """Count new tensors and their elements before each is allocated; Python's integers do not overflow."""

    def __init__(self, check: Callable[[int, int], None]) -> None:
        super().__init__()
        self._check, self._tensors, self._numbers = check, 0, 0

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _FACTORIES:
            self._tensors += 1
            self._numbers += _elements(args, kwargs or {})
            self._check(self._tensors, self._numbers)
        return func(*args, **(kwargs or {}))


def _elements(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    shape = kwargs.get("size", args[0] if args and isinstance(args[0], Sequence) else args)
    return math.prod(side for side in shape if isinstance(side, int))


def _largest(kind: str, part: Configured[Any]) -> str:
    """Return the option with the largest whole number, and its value: in all likelihood the culprit."""
    options = part.options.model_dump()
    numbers = {name: value for name, value in options.items() if type(value) is int}
    if not numbers:
        return "--backbone.channels"
    name = max(numbers, key=numbers.__getitem__)
    section = "backbone" if name in part.inherited else kind
    flag = "--size" if name == "size" else f"--{section}.{name}"
    return f"{flag} ({numbers[name]})"


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
