"""The group detector contract: detecting the group of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

AUTO = "auto"
"""The group name that means: detect it from the image."""


class GroupDetector(ABC):
    """A detector of an image's group, for ``--group auto``; constructed once, without arguments.

    Example:
        A detector that classifies bright images as kids::

            class ByLight(GroupDetector):
                name = "light"

                def detect(self, image, groups):
                    return "kid" if image.mean() > 0 else groups[0]

    Attributes:
        name: The name in the registry, for ``--detector``.
    """

    name: ClassVar[str]

    @abstractmethod
    def detect(self, image: Tensor, groups: Sequence[str]) -> str:
        """Return the group of an image.

        Args:
            image: ``(3, H, W)`` in [-1, 1], of the model's training size.
            groups: The groups of the model, the base group first.
        """
