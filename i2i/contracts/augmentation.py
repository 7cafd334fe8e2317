"""The augmentation contract: what happens to images on their way to the discriminators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor


class Augmentation(ABC):
    """What happens to images on their way to the discriminators."""

    @abstractmethod
    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x``, ``(N, 3, H, W)`` of ``domain`` and of N groups, as the discriminator sees it."""

    def observe(self, domain: str, logits: Sequence[Tensor], groups: Sequence[str]) -> None:  # noqa: B027
        """Receive the discriminator's logits of real images: one tensor ``(N, ...)`` per scale or part."""

    @property
    def chances(self) -> dict[str, float]:
        """The probability of each change, by ``domain/group``; empty where it never changes."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return the state that the next step depends on, as tensors by name."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take back what `state` returned."""


class Unaugmented(Augmentation):
    """Shows images as they are, and draws no random number."""

    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x`` itself."""
        return x
