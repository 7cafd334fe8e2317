"""Does a translation look like a drawing of its own group? A small classifier of real drawings answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from i2i import Case, Images, Score, extract_features
from i2i_metrics.bootstrap import proportion
from i2i_metrics.seeing import NETWORK, Seeing

EPS = 1e-6


class GroupAccuracy(Seeing):
    """Share of translations that are taken for drawings of their own group: 1 is the best, chance is 1 / groups.

    A translation belongs to the group whose real drawings' centre is nearest, by the cosine of standardised features;
    every group's centre counts equally, however many drawings it has. Drawings of the translation's own design, in any
    colour, are left out: otherwise one man's hat would identify all men. The score of real drawings
    shows how well this tells groups apart; if it is low, the score means little.
    """

    name = "group_accuracy"
    higher_is_better = True

    class Config(Seeing.Config):
        """Options of group accuracy."""

        network: str = Field("alexnet:relu3", description=NETWORK)

    def obstacle(self, case: Case) -> str:
        """Require two groups with drawings."""
        return "" if len(_known(case)) > 1 else "fewer than two groups have drawings to compare"

    def score(self, case: Case) -> Score:
        """Return the share of fakes that are taken for drawings of ``case.group``, with Wilson's interval."""
        drawings = _known(case)
        seen = {group: extract_features(self.sees, own, self.device) for group, own in drawings.items()}
        fakes = extract_features(self.sees, case.fake, self.device)
        hits = torch.zeros(len(fakes))
        for design in dict.fromkeys(case.fake.names):
            rows = [row for row, name in enumerate(case.fake.names) if name == design]
            others = {group: own[_without(drawings[group], design)] for group, own in seen.items()}
            hits[rows] = _nearest(fakes[rows], others, case.group)
        return proportion(hits, case.fake.names)


def _known(case: Case) -> Mapping[str, Images]:
    return {group: images for group, images in case.drawings.items() if len(images)}


def _without(images: Images, design: str) -> list[int]:
    """Return the indices of images of another design; of all images, if there is no other."""
    return [row for row, name in enumerate(images.names) if name != design] or list(range(len(images)))


def _nearest(fakes: Tensor, drawings: Mapping[str, Tensor], group: str) -> Tensor:
    """Return 1 for every fake, ``(N, D)``, that is nearest to the centre of ``group``, and else 0."""
    everything = torch.cat(list(drawings.values()))
    mean, spread = everything.mean(0), everything.std(0, correction=0) + EPS
    centres = _directions([_unit((own - mean) / spread).mean(0) for own in drawings.values()])
    found = (_unit((fakes - mean) / spread) @ centres.T).argmax(1)
    return (found == list(drawings).index(group)).float()


def _directions(centres: Sequence[Tensor]) -> Tensor:
    return _unit(torch.stack(list(centres)))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)
