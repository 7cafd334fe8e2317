"""Cross-domain correspondence (Ojha et al. 2021, arXiv 2104.06820): few drawings do not collapse onto each other."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import (
    DIRECTION_INTO,
    DOMAINS,
    OTHER_DOMAIN,
    Domain,
    Generator,
    Loss,
    Passes,
    Pretrained,
)
from i2i_losses.anchors import anchored


class Correspondence(Loss):
    """Makes translations of a new group resemble one another as much as the base model's of the same sources do.

    Ojha et al. 2021, "Few-shot Image Generation via Cross-domain Correspondence" (arXiv 2104.06820), eqs. 2 to 4: for
    every sample of a sub-batch, the softmax of the cosine similarities of its features to those of the others is
    compared with the base model's by the Kullback-Leibler divergence, in both directions. The features are those of the
    generator's encoder for its own translations. The base group has no such loss: it has enough images to learn from.
    """

    name = "correspondence"
    needs = frozenset({"fake", "encoded"})
    fewest = 3  # of two samples, each has but one other to resemble

    class Config(Loss.Config):
        """Options of the correspondence term."""

        weight: float = Field(1000.0, ge=0, description="Weight of the term; 1000 in the paper.")

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> nn.Module:
        """Copy the base group's generators as they are before the transfer."""
        self.anchor = anchored(generators)
        return self.anchor

    def generator(self, passes: Passes) -> Tensor:
        """Return the divergence, ``(N,)``, averaged over the encoder's maps and summed over directions."""
        new = [place for place, group in enumerate(passes.batch.groups) if group != passes.groups[0]]
        losses = list(torch.zeros(len(passes.batch.groups), device=passes.fake["b"].image.device).unbind())
        for place, loss in zip(new, self._divergence(passes, new).unbind() if new else (), strict=True):
            losses[place] = loss
        return torch.stack(losses)

    def _divergence(self, passes: Passes, samples: list[int]) -> Tensor:
        terms = [
            divergence(_chosen(own, samples), anchor)
            for domain in DOMAINS
            for own, anchor in zip(passes.encoded[domain], self._anchored(passes, domain, samples), strict=True)
        ]
        return reduce(terms, "term n -> n", "sum") / len(passes.encoded["b"])

    @torch.no_grad()
    def _anchored(self, passes: Passes, domain: Domain, samples: list[int]) -> list[Tensor]:
        """Return the feature maps of the base model's translations into a domain."""
        generator = cast(Generator, self.anchor[DIRECTION_INTO[domain]])
        return generator.encode(generator(_chosen(passes.batch.real[OTHER_DOMAIN[domain]], samples)).image)


def divergence(features: Tensor, anchors: Tensor) -> Tensor:
    """Return how far each sample's similarities to the others are from those of the anchors.

    Args:
        features: ``(N, C, h, w)``.
        anchors: ``(N, C, h, w)``, features of the same samples that are left as they are.

    Returns:
        The Kullback-Leibler divergence from the anchors' distribution, ``(N,)``, in nats.
    """
    return F.kl_div(_similarities(features), _similarities(anchors), reduction="none", log_target=True).sum(1)


def _similarities(features: Tensor) -> Tensor:
    """Return the logarithm of the softmax of each sample's cosine similarities to the others, ``(N, N - 1)``."""
    unit = F.normalize(rearrange(features, "n c h w -> n (c h w)").float(), dim=1)
    with torch.autocast(features.device.type, enabled=False):  # bfloat16 could not tell the cosines of two faces apart
        cosines = einsum(unit, unit, "n f, other f -> n other")
    n = len(unit)
    others = cosines.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)  # the diagonal is every (n + 1)th
    return F.log_softmax(others, dim=1)


def _chosen(x: Tensor, samples: list[int]) -> Tensor:
    """Return some samples of ``x``, without an index, which a GPU would wait for."""
    each = x.unbind()
    return torch.stack([each[sample] for sample in samples])
