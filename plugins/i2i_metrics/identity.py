"""Is it still the same person? A face recognition network compares a translation with its source."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field

from i2i import Case, Score, extract_features
from i2i_metrics.bootstrap import bootstrap
from i2i_metrics.seeing import NETWORK, Seeing


class Identity(Seeing):
    """Cosine between the face features of a translation and of its source: 1 is the same face.

    Only for images in which a face fills the place that photo2cartoon's preparation gives it, and only as far as a
    network that learned from photographs recognises drawings; compare with the score of real drawings.
    """

    name = "identity"
    higher_is_better = True
    to_source = True
    by_default = False

    class Config(Seeing.Config):
        """Options of face identity."""

        network: str = Field("dlib", description=NETWORK)

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        fake, source = (extract_features(self.sees, images, self.device) for images in (case.fake, case.source))
        return bootstrap(F.cosine_similarity(fake, source), case.fake.names)
