"""The two domains, the directions between them, and a batch of real images of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Domain = Literal["a", "b"]

Direction = Literal["a2b", "b2a"]

DOMAINS: tuple[Domain, Domain] = ("a", "b")

DIRECTION_INTO: dict[Domain, Direction] = {"a": "b2a", "b": "a2b"}

OTHER_DOMAIN: dict[Domain, Domain] = {"a": "b", "b": "a"}


@dataclass(frozen=True)
class Batch:
    """Real images of both domains; sample i of either domain belongs to ``groups[i]``.

    Attributes:
        real: ``real["a"]`` and ``real["b"]``, each ``(N, 3, H, W)`` in [-1, 1]. Unpaired.
        groups: The group of every sample, N names.
    """

    real: dict[Domain, Tensor]
    groups: tuple[str, ...]
