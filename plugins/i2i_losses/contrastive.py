"""Contrastive learning on patches (CUT: Park et al. 2020, arXiv 2007.15651): translations keep the source's layout."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from pydantic import Field
from torch import Tensor, nn

from i2i import DIRECTION_INTO, DOMAINS, Domain, Generator, Loss, Passes, Pretrained, upload


class PatchNCE(Loss):
    """Makes a patch of the translation resemble the source's patch at the same place more than the other patches.

    Park et al. 2020 (arXiv 2007.15651), eq. 4: softmax cross-entropy over patches of one image, for the projected
    features of every encoder map, in both directions. As in the released code, no gradient reaches the source's
    features. The projections are built before training, from the generators' ``encoded_channels``.
    """

    name = "patch_nce"
    needs = frozenset({"fake", "encoded"})

    class Config(Loss.Config):
        """Options of the contrastive term."""

        patches: int = Field(256, ge=2, description="Patches compared per image, fewer on small maps.")
        temperature: float = Field(0.07, gt=0, description="Temperature that divides the similarities.")
        width: int = Field(256, ge=1, description="Channels of the projections.")

    config: Config

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> nn.Module:
        """Build a projection for every encoder map of both directions."""
        self.projections = nn.ModuleDict(
            {domain: self._projections(generators[DIRECTION_INTO[domain]]) for domain in DOMAINS}
        )
        return self.projections.to(device)

    def generator(self, passes: Passes) -> Tensor:
        """Return the contrastive loss, ``(N,)``, averaged over maps and patches and summed over directions."""
        terms = [self._map(passes, domain, index) for domain in DOMAINS for index in range(len(passes.encoded[domain]))]
        return reduce(terms, "term n -> n", "sum") / len(passes.encoded["b"])

    def _map(self, passes: Passes, domain: Domain, index: int) -> Tensor:
        project = cast(nn.ModuleList, self.projections[domain])[index]
        fake, source = (
            rearrange(features[index], "n c h w -> n c (h w)")
            for features in (passes.encoded[domain], passes.fake[domain].encoded)
        )
        places = upload(torch.randperm(fake.shape[2])[: self.config.patches], fake.device)
        queries = project(rearrange(fake[..., places], "n c s -> n s c"))  # (N, S, width)
        with torch.no_grad():
            keys = project(rearrange(source[..., places], "n c s -> n s c"))
        return contrast(queries, keys, self.config.temperature)

    def _projections(self, generator: nn.Module) -> nn.ModuleList:
        channels = cast(Generator, generator).encoded_channels
        return nn.ModuleList(Projection(width, self.config.width) for width in channels)


class Projection(nn.Module):
    """A two-layer perceptron onto the unit sphere, ``(N, S, C)`` to ``(N, S, width)``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        for layer in (self.layers[0], self.layers[2]):
            nn.init.normal_(cast(Tensor, layer.weight), 0.0, 0.02)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Project features."""
        return F.normalize(self.layers(x), dim=-1, eps=1e-7)


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of matching query s to key s among the keys of its image.

    Args:
        queries: ``(N, S, C)``.
        keys: ``(N, S, C)``; the key at s belongs to the query at s.
        temperature: Divides the dot products.

    Returns:
        One value per sample, ``(N,)``.
    """
    similarities = einsum(queries, keys, "n query c, n key c -> n query key") / temperature
    matching = torch.diagonal(similarities, dim1=1, dim2=2)
    return reduce(similarities.logsumexp(2) - matching, "n query -> n", "mean")
