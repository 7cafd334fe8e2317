"""The metric contract: a score of translated images with its uncertainty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Score:
    """A score with a 95 % interval over ``n`` samples; ``low`` and ``high`` equal ``value`` when n is 1."""

    value: float
    low: float
    high: float
    n: int


class Metric(ABC):
    """A score of translated images, gathered batch by batch.

    Attributes:
        name: The name in the registry and in every table.
        higher_is_better: Which way is up.
        paired: True when ``real`` holds the true translation of each ``source``.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    paired: ClassVar[bool]

    @abstractmethod
    def update(self, *, real: Tensor, fake: Tensor, source: Tensor) -> None:
        """Add images, each ``(N, 3, H, W)`` in [-1, 1]."""

    @abstractmethod
    def compute(self) -> Score:
        """Return the score of everything added so far; at least one image must have been."""
