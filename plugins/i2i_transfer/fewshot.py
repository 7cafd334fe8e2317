"""Base class of transfers that draw equally many samples of each group."""

from __future__ import annotations

from pydantic import Field

from i2i import Transfer


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

    config: Config

    def samples(self, batch_size: int) -> int:
        """Return the samples per group and step, given the base stage's ``batch_size``."""
        return self.config.samples or min(2, batch_size)
