"""The paper's first two baselines: groups are pooled, and one model without branches learns from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import Field
from torch import Tensor

from i2i import Backbone, Route, Side
from i2i_transfer.fewshot import FewShot


class Pooled(FewShot):
    """One model for every group, all of it updated by whatever is drawn (abstract)."""

    def adapt(self, model: Backbone) -> None:
        """Leave the model as it is."""

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Send the loss into everything; every sample counts alike."""
        yield Route(sum(losses.values(), start=_zero(losses)).mean(), list(self.networks[side].parameters()))


class Mixed(Pooled):
    """Train one model on all groups from scratch; the base model is not used (baseline 1 of arXiv 2007.13332).

    Groups are drawn at random, as often as two stages draw them, the second of which sees the new groups: so that
    whatever it is compared with has seen as many samples of each group.
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
        """Return samples of all groups together; those of the base group are by far the most."""
        later = self.config.second_stage
        new = later * self.samples(batch_size)
        expected = np.array([(1 - later) * batch_size + new, *[new] * len(self.groups)])
        drawn = rng.choice([self.base, *self.groups], max(1, round(expected.sum())), p=expected / expected.sum())
        return [tuple(map(str, drawn))]


class Joint(Pooled):
    """Train the whole base model on the new groups together, for all of them (baseline 2 of arXiv 2007.13332)."""

    name = "joint"

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of the new groups together."""
        return [self.groups * self.samples(batch_size)]


def _zero(losses: Mapping[str, Tensor]) -> Tensor:
    return next(iter(losses.values())).new_zeros(())
