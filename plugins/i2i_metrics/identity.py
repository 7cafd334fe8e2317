"""Is it still the same person? A face recognition network compares a translation with its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field

from i2i import feature
from i2i.metric import Case, Metric, Score
from i2i_metrics.bootstrap import bootstrap


class Identity(Metric):
    """Cosine between the face features of a translation and of its source: 1 is the same face.

    Only for images in which a face fills the place that photo2cartoon's preparation gives it, and only as far as a
    network that learned from photographs recognises drawings; compare with the floor, the true drawings' figure.
    """

    name = "identity"
    higher_is_better = True
    to_source = True
    by_default = False

    class Config(Metric.Config):
        """Options of face identity."""

        network: str = Field("dlib", description="The face recognition network: dlib or mobilefacenet.")
        weights: str | None = Field(None, description="File of the network's weights, if they shall not be looked for.")

    config: Config

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__(config, device)
        self.sees = feature.network(config.network, config.weights, device)
        self.network, self.resize = self.sees.title, self.sees.resize

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        fake, source = (feature.extract(self.sees, images, self.device) for images in (case.fake, case.source))
        return bootstrap(F.cosine_similarity(fake, source))
