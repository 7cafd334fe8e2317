"""Elastic weight consolidation (Li et al. 2020, arXiv 2012.02780): weights that matter to the base model stay near."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i import DIRECTION_INTO, DOMAINS, OTHER_DOMAIN, Batch, Loss, Passes, Pretrained
from i2i_losses.anchors import anchored

SAMPLES = 64
"""Samples of each domain, those of the first steps, that the Fisher information is averaged over."""

BRANCH = re.compile(r"\bbranches\.([^.]+)\.")
"""The part of a weight's name that says whose it is."""


class Elastic(Loss):
    """Keeps a new group's weights near the base model's, the more the more these determine what it draws.

    Li et al. 2020, "Few-shot Image Generation with Elastic Weight Consolidation" (arXiv 2012.02780): the squared
    distance of each weight from its value before the transfer, times its Fisher information, summed. There it is the
    information about a discriminator's verdicts; here it is that about the translations themselves, taken as means of a
    normal distribution: the mean square of the gradient of an image times noise. It is divided by its mean over all
    weights. Weights that only new groups have, such as adapters, are free, and so are samples of the base group.
    """

    name = "elastic"
    needs = frozenset({"fake"})

    def prepare(self, generators: nn.ModuleDict, device: torch.device, pretrained: Pretrained) -> nn.Module:
        """Copy the base group's generators as they are before the transfer."""
        self.generators, self.anchor = generators, Anchor(generators)
        return self.anchor

    def generator(self, passes: Passes) -> Tensor:
        """Return the distance of each sample's generators from the base group's, ``(N,)``."""
        new = [group for group in passes.groups[1:] if group in passes.batch.groups]
        if new:
            self.anchor.measure(passes.batch)
        distances = self._distances(new) | {passes.groups[0]: torch.zeros((), device=passes.fake["b"].image.device)}
        return torch.stack([distances[group] for group in passes.batch.groups])

    def _distances(self, groups: Sequence[str]) -> dict[str, Tensor]:
        weights, information = self.anchor.weights, self.anchor.information
        terms: dict[str, list[Tensor]] = {group: [] for group in groups}
        for name, weight in self.generators.named_parameters():
            place, owners = BRANCH.sub("", name), set(BRANCH.findall(name))
            users = [group for group in groups if owners <= {group}] if place in weights else []
            if users:
                term = (information[place] * (weight - weights[place]).square()).sum()
                for group in users:
                    terms[group].append(term)
        mean = self.anchor.mean_information()
        return {group: torch.stack(each).sum() / mean for group, each in terms.items()}


class Anchor(nn.Module):
    """The base group's generators with the Fisher information of their weights, which is measured in the first steps.

    Args:
        generators: The generators at the start of the transfer, ``a2b`` and ``b2a``.
    """

    def __init__(self, generators: nn.ModuleDict) -> None:
        super().__init__()
        self.base = anchored(generators)
        self.squares = copy.deepcopy(self.base)
        for weight in self.squares.parameters():
            nn.init.zeros_(weight)
        self.seen = 0

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by name."""
        return dict(self.base.named_parameters())

    @property
    def information(self) -> dict[str, nn.Parameter]:
        """The sum of the squared gradients of each weight, by name."""
        return dict(self.squares.named_parameters())

    def mean_information(self) -> Tensor:
        """Return the mean of `information` over all weights."""
        every = self.information.values()
        return torch.stack([each.sum() for each in every]).sum() / sum(each.numel() for each in every)

    def measure(self, batch: Batch) -> None:
        """Add the squared gradients of a batch's samples, until there are enough."""
        if self.seen < SAMPLES:
            for domain in DOMAINS:
                for source in torch.split(batch.real[OTHER_DOMAIN[domain]], 1):
                    self._add(self.base[DIRECTION_INTO[domain]], source)
            self.seen += len(batch.groups)

    def get_extra_state(self) -> Tensor:
        """Return the number of samples seen, for the training state."""
        return torch.tensor(self.seen)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the number of samples from a training state."""
        self.seen = int(state)

    def _add(self, generator: nn.Module, source: Tensor) -> None:
        weights = self.weights
        self.base.requires_grad_(True)
        image = generator(source).image
        gradients = torch.autograd.grad(image, list(weights.values()), torch.randn_like(image), allow_unused=True)
        self.base.requires_grad_(False)
        for squares, gradient in zip(self.information.values(), gradients, strict=True):
            if gradient is not None:
                squares.add_(gradient.square())
