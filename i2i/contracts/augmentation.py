"""The augmentation contract: changes to the images that discriminators see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor


class Augmentation(ABC):
    """Changes to the images that discriminators see."""

    @abstractmethod
    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Augment ``x``, ``(N, 3, H, W)``, for the discriminator of ``domain``; sample i belongs to ``groups[i]``."""

    def observe(self, domain: str, logits: Sequence[Tensor], groups: Sequence[str]) -> None:  # noqa: B027
        """Receive the discriminator's logits for real images, one tensor ``(N, ...)`` per scale or part, on the CPU."""

    @property
    def chances(self) -> dict[str, float]:
        """The probability of each change, by ``domain/group``; empty where it never changes."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return the state that the next step needs, as tensors by name."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Restore the result of `state`."""


class Unaugmented(Augmentation):
    """No augmentation; draws no random numbers."""

    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x`` unchanged."""
        return x
