"""Face identity: is it still the same person, according to a face recognition network?"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field

from i2i import Case, Score, extract_features
from i2i_metrics.bootstrap import bootstrap
from i2i_metrics.seeing import NETWORK, Seeing


class FaceSimilarity(Seeing):
    """Cosine between the face features of a translation and its source: 1 is the same face.

    Images must be framed as by photo2cartoon's face preparation. The networks were trained on photographs and may
    recognise drawings poorly; compare with the score of real drawings.
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
