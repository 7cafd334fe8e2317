"""The face identity loss: a translation shows the same person as its source."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import DOMAINS, OTHER_DOMAIN, Backbone, Loss, Passes
from i2i.pretrained.weights import fill, find, load
from i2i_features import dlib_face, mobilefacenet
from i2i_features.frozen import Frozen

Network = Literal["dlib", "mobilefacenet"]


class FaceIdentity(Loss):
    """One minus the cosine between the features that a face recognition network has of a fake and of its source.

    From photo2cartoon and the few-shot code after it (Zhuang & Yang, arXiv 2007.13332), where it has the weight 1.
    Images show a head as their face preparation frames it, which decides where the face is cut out.
    """

    name = "face_identity"
    needs = frozenset({"fake"})

    class Config(Loss.Config):
        """Options of the face identity term."""

        network: Network = Field("dlib", description="The face recognition network; photo2cartoon's: mobilefacenet.")
        weights: str | None = Field(None, description="File of the network's weights, if they shall not be looked for.")
        crop: bool = Field(True, description="Cut the face out of a prepared head; off: images show faces alone.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        find(config.network, config.weights)
        if config.weights is not None:  # told now, before a run begins and perhaps replaces another
            state = load(config.network, config.weights)
            with torch.device("meta"):
                fill(_empty(config.network), state, config.network)

    def prepare(self, backbone: Backbone, device: torch.device) -> nn.Module | None:
        """Load the network onto ``device``; it learns nothing."""
        self.network = recogniser(self.config.network, self.config.weights).to(device)
        return None

    def generator(self, passes: Passes) -> Tensor:
        """Return how little the fakes' faces are their sources', ``(N,)`` in [0, 4]; both directions are added."""
        with torch.no_grad():
            sources = self._features(torch.cat([passes.batch.real[OTHER_DOMAIN[domain]] for domain in DOMAINS]))
        fakes = self._features(torch.cat([passes.fake[domain].image for domain in DOMAINS]))
        cosine = F.cosine_similarity(fakes, sources)
        return reduce(1 - cosine, "(domain n) -> n", "sum", domain=len(DOMAINS))

    def _features(self, x: Tensor) -> Tensor:
        cut = CROPS[self.config.network] if self.config.crop else resized
        features: Tensor = self.network(cut(x, SIDES[self.config.network]))
        return features.float()


def recogniser(network: Network, path: str | None = None) -> Frozen:
    """Return a face recognition network: ``(N, 3, s, s)`` in [-1, 1], s of `SIDES`, to ``(N, 128)`` or ``(N, 512)``.

    Raises:
        WeightsError: The weights are nowhere, damaged, or those of another network.
    """
    built, module = _empty(network), dlib_face if network == "dlib" else mobilefacenet
    fill(built, load(network, path), network)
    return Frozen(built, module.MEAN, module.STD)


def _empty(network: Network) -> nn.Module:
    return dlib_face.DlibFace() if network == "dlib" else mobilefacenet.MobileFaceNet()


def photo2cartoon_crop(x: Tensor, side: int) -> Tensor:
    """Cut the face out of a head, ``(N, 3, H, W)``, as photo2cartoon does: 162 px in the middle of 256."""
    height = x.shape[-2]
    return _cut(x, int(height / 2.1 * 0.47), int(height - height / 2.1 * 0.3), side)


def dlib_crop(x: Tensor, side: int) -> Tensor:
    """Cut out of a head, ``(N, 3, H, W)``, about what dlib would: 156 px in the middle of 256.

    Where dlib 20.0.1 cuts faces out (``get_face_chip``, padding 0.25), as the median over 48 portraits, each in the
    frame that photo2cartoon's face preparation gives it; it also turns faces upright, as that preparation does.
    """
    height = x.shape[-2]
    return _cut(x, round(0.276 * height), round(0.887 * height), side)


def resized(x: Tensor, side: int) -> Tensor:
    """Scale images, ``(N, 3, H, W)``, to ``side`` squared, corner on corner."""
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=True)


def _cut(x: Tensor, top: int, bottom: int, side: int) -> Tensor:
    """Cut out the square between two rows, in the middle of the columns, and scale it."""
    left = (x.shape[-1] - (bottom - top)) // 2
    return resized(x[..., top:bottom, max(0, left) : left + bottom - top], side)


CROPS = {"dlib": dlib_crop, "mobilefacenet": photo2cartoon_crop}
SIDES = {"dlib": dlib_face.SIDE, "mobilefacenet": mobilefacenet.SIDE}
