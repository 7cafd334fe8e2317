"""What transfers share that draw as many samples of one group as of any other."""

from __future__ import annotations

from pydantic import Field

from i2i import Transfer


class FewShot(Transfer):
    """A transfer whose every step has ``samples`` of each group that it draws, however many images a group has."""

    class Config(Transfer.Config):
        """Options of transfers that draw every group alike."""

        samples: int | None = Field(
            None, ge=1, description="Samples of each group per step; 2 by default, 1 (the paper's) at batch size 1."
        )

    config: Config

    def samples(self, batch_size: int) -> int:
        """Return how many samples of each group a step has, where the base stage has ``batch_size``."""
        return self.config.samples or min(2, batch_size)
