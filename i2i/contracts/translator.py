"""The part of a model that evaluations, listeners and plugins may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from i2i.contracts.backbone import Backbone
from i2i.contracts.domains import Direction

I = TypeVar("I", Image.Image, "np.ndarray[Any, Any]", Tensor)  # noqa: E741


class Translator(Protocol):
    """A model that translates images per group; `i2i.Model` is one.

    Attributes:
        backbone: The networks.
        base: The data-rich group.
    """

    backbone: Backbone
    base: str

    @property
    def groups(self) -> Sequence[str]:
        """Every group of the model, the base group first."""
        ...

    @property
    def size(self) -> int:
        """Side of the training images in pixels."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        ...

    def translate(self, image: I, group: str | None = None, direction: Direction = "a2b") -> I:
        """Translate one image or a batch of them, as `i2i.Model.translate` does."""
        ...
