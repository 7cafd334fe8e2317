"""The face identity loss: a translation shows the same person as its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import DOMAINS, OTHER_DOMAIN, Loss, Passes, Pretrained
from i2i_features.seeing_faces import WHOLE


class FaceIdentity(Loss):
    """One minus the cosine between the face recognition features of a fake and its source.

    From photo2cartoon and the few-shot code based on it (Zhuang & Yang, arXiv 2007.13332), with weight 1. Images must
    frame the head as their face preparation does, since the face is cut out at a fixed place.
    """

    name = "face_identity"
    needs = frozenset({"fake"})

    class Config(Loss.Config):
        """Options of the face identity term."""

        network: str = Field("dlib", description="The face recognition network; photo2cartoon's: mobilefacenet.")
        weights: str | None = Field(None, description="File of the network's weights; by default they are looked for.")
        crop: bool = Field(True, description="Cut the face out of a prepared head; off: images show faces alone.")

    config: Config

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> None:
        """Load the network onto ``device``; it is not trained."""
        name = self.config.network if self.config.crop else f"{self.config.network}:{WHOLE}"
        self.network = pretrained.features(name, self.config.weights, device)

    def generator(self, passes: Passes) -> Tensor:
        """Return how much the fakes' faces differ from their sources', ``(N,)`` in [0, 4], summed over directions."""
        with torch.no_grad():
            sources = self.network(torch.cat([passes.batch.real[OTHER_DOMAIN[domain]] for domain in DOMAINS]))
        fakes = self.network(torch.cat([passes.fake[domain].image for domain in DOMAINS]))
        cosine = F.cosine_similarity(fakes, sources)
        return reduce(1 - cosine, "(domain n) -> n", "sum", domain=len(DOMAINS))
