"""The group detector contract: which group does an image belong to?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

AUTO = "auto"
"""The group name that lets the image decide."""


class GroupDetector(ABC):
    """Detects the group of an image, for ``--group auto``; it is constructed without arguments, once.

    Example:
        A detector that takes bright images for kids::

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
        """Return one of ``groups``, the base first.

        Args:
            image: ``(3, H, W)`` in [-1, 1], of the model's training size.
            groups: The groups that the model serves.
        """
