"""The paper's first two baselines: one model without branches, trained on all groups pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import Field
from torch import Tensor

from i2i import Backbone, Route, Side
from i2i_transfer.fewshot import FewShot


class Pooled(FewShot):
    """One model for all groups, fully updated by every sample (abstract)."""

    def adapt(self, model: Backbone) -> None:
        """Leave the model unchanged."""

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Update everything, with equal weight per sample."""
        yield Route(sum(losses.values(), start=_zero(losses)).mean(), self.parameters(side))


class Mixed(Pooled):
    """Train one model on all groups from scratch; the base model is not used (baseline 1 of arXiv 2007.13332).

    Groups are drawn at random in the proportions of two-stage training, where only the second stage sees the new
    groups, so that the compared transfers have seen as many samples of each group.
    """

    name = "mixed"
    from_scratch = True

    class Config(Pooled.Config):
        """Options of mixed training."""

        second_stage: float = Field(
            0.25, gt=0, le=1, description="Share of all steps that the compared transfers spend on new groups."
        )

    config: Config

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of all groups together, most of them of the base group."""
        later = self.config.second_stage
        new = later * self.samples(batch_size)
        expected = np.array([(1 - later) * batch_size + new, *[new] * len(self.groups)])
        drawn = rng.choice([self.base, *self.groups], max(1, round(expected.sum())), p=expected / expected.sum())
        return [tuple(map(str, drawn))]


class Joint(Pooled):
    """Train the whole base model further, on all new groups together (baseline 2 of arXiv 2007.13332)."""

    name = "joint"

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of all new groups together."""
        return [self.groups * self.samples(batch_size)]


def _zero(losses: Mapping[str, Tensor]) -> Tensor:
    return next(iter(losses.values())).new_zeros(())
