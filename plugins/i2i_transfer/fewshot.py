"""Base class of transfers that draw equally many samples of each group."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from i2i import Side, Transfer


class FewShot(Transfer):
    """A transfer that draws ``samples`` per group and step, however many images a group has."""

    class Config(Transfer.Config):
        """Options of transfers that draw groups equally often."""

        samples: int | None = Field(
            None,
            ge=1,
            le=4096,
            description="Samples of each group per step; 2 by default, 1 (the paper's) at batch size 1.",
        )
        lr: float = Field(1.0, gt=0, description="Factor on the learning rate of the base stage.")

    config: Config

    def samples(self, batch_size: int) -> int:
        """Return the samples per group and step, given the base stage's ``batch_size``."""
        return self.config.samples or min(2, batch_size)

    def parameter_groups(self, side: Side, lr: float) -> list[dict[str, Any]]:
        """Train all parameters of a side at the transfer's learning rate."""
        return super().parameter_groups(side, lr * self.config.lr)
