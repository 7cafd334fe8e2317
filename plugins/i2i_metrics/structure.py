"""Structure: is the source's layout kept, judging by how parts of an image resemble one another?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from pydantic import Field
from torch import Tensor

from i2i import Case, Pretrained, Score
from i2i_metrics.bootstrap import bootstrap
from i2i_metrics.seeing import NETWORK, Seeing


class Structure(Seeing):
    """Self-similarity distance to the source: 0 where all parts resemble one another as in the source; at most 2.

    The root mean square difference of the cosines between all places of a feature map, after Kolkin et al. 2019 (arXiv
    1904.12785, eq. 4) and Tumanyan et al. 2022 (arXiv 2201.00424, eq. 3). The distance of real drawings shows
    how much structure an artist changes; a lower distance is not a better drawing.
    """

    name = "structure"
    to_source = True

    class Config(Seeing.Config):
        """Options of the structure distance."""

        network: str = Field("alexnet:relu3", description=NETWORK)

    def prepare(self, pretrained: Pretrained, device: torch.device) -> None:
        """Load the feature network."""
        super().prepare(pretrained, device)
        self._maps(torch.zeros(1, 3, 64, 64))  # a network without maps raises now, before any training

    def score(self, case: Case) -> Score:
        """Return the mean over images."""
        pairs = zip(case.fake, case.source, strict=True)
        values = torch.cat([self._distance(fake, source) for fake, source in pairs])
        return bootstrap(values, case.fake.names)

    def _distance(self, fake: Tensor, source: Tensor) -> Tensor:
        """Compare ``(n, 3, H, W)`` with ``(n, 3, H, W)``: ``(n,)``."""
        fakes, sources = (_self_similarity(self._maps(x)) for x in (fake, source))
        return reduce((fakes - sources).square(), "n place other -> n", "mean").sqrt().float().cpu()

    @torch.no_grad()
    def _maps(self, x: Tensor) -> Tensor:
        return self.sees.maps(self.sees.resized(x.to(self.device)))[0]


def _self_similarity(maps: Tensor) -> Tensor:
    """Return the cosines between all places of ``(n, C, h, w)``: ``(n, h w, h w)``."""
    places = F.normalize(rearrange(maps, "n c h w -> n c (h w)"), dim=1)
    return einsum(places, places, "n c place, n c other -> n place other")
