"""FID: the Frechet distance on the features of its original Inception."""

from __future__ import annotations

import torch
from pydantic import Field

from i2i import Case, Metric, Pretrained, Score
from i2i_metrics.distances import Frechet


class FID(Metric):
    """Frechet Inception distance (Heusel et al. 2017, arXiv 1706.08500): 0 where mean and covariance are equal.

    Images are rounded to 8 bits, as when saved. With fewer than a few thousand images it mostly measures their number:
    compare it only between equal numbers, and use ``kernel`` for small groups.
    """

    name = "fid"
    by_default = False
    fewest = 2
    fewest_real = 2

    class Config(Metric.Config):
        """Options of FID."""

        clean: bool = Field(False, description="Resize as clean-fid does; off: as pytorch-fid.")
        weights: str | None = Field(None, description="File of the network's weights; by default they are looked for.")

    config: Config

    def prepare(self, pretrained: Pretrained, device: torch.device) -> None:
        """Load Inception."""
        super().prepare(pretrained, device)
        network = "inception:clean" if self.config.clean else "inception"
        self.frechet = Frechet(Frechet.Config(network=network, weights=self.config.weights))
        self.frechet.prepare(pretrained, device)
        self.network, self.resize = self.frechet.network, self.frechet.resize

    def score(self, case: Case) -> Score:
        """Return the distance of the fakes to the held-out drawings; n counts the fakes."""
        return self.frechet.score(case)
