"""Group accuracy: does a translation look like a drawing of its group to a classifier of real drawings?"""

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
    """Share of translations classified as drawings of their group: 1 is best, chance is 1 / groups.

    A translation is assigned to the group with the nearest centre of real drawings, by the cosine of standardised
    features; groups count equally, however many drawings they have. Drawings of the translation's own design, in any
    colour, are left out: otherwise one man's hat would identify all men. The score of real drawings shows how well
    the classifier separates groups; if that is low, the metric means little.
    """

    name = "group_accuracy"
    higher_is_better = True

    class Config(Seeing.Config):
        """Options of group accuracy."""

        network: str = Field("alexnet:relu3", description=NETWORK)

    def obstacle(self, case: Case) -> str:
        """Require drawings of at least two groups."""
        return "" if len(_known(case)) > 1 else "fewer than two groups have drawings to compare"

    def score(self, case: Case) -> Score:
        """Return the share of fakes classified as ``case.group``, with Wilson's interval."""
        drawings = _known(case)
        features = {group: extract_features(self.sees, images, self.device) for group, images in drawings.items()}
        fakes = extract_features(self.sees, case.fake, self.device)
        hits = torch.zeros(len(fakes))
        for design in dict.fromkeys(case.fake.names):
            rows = [row for row, name in enumerate(case.fake.names) if name == design]
            others = {group: rest[_without(drawings[group], design)] for group, rest in features.items()}
            hits[rows] = _nearest(fakes[rows], others, case.group)
        return proportion(hits, case.fake.names)


def _known(case: Case) -> Mapping[str, Images]:
    return {group: images for group, images in case.drawings.items() if len(images)}


def _without(images: Images, design: str) -> list[int]:
    """Return the indices of images of other designs, or of all images if there are none."""
    return [row for row, name in enumerate(images.names) if name != design] or list(range(len(images)))


def _nearest(fakes: Tensor, drawings: Mapping[str, Tensor], group: str) -> Tensor:
    """Return 1 for each fake, ``(N, D)``, nearest to the centre of ``group``, else 0."""
    everything = torch.cat(list(drawings.values()))
    mean, spread = everything.mean(0), everything.std(0, correction=0) + EPS
    centres = _directions([_unit((features - mean) / spread).mean(0) for features in drawings.values()])
    nearest = (_unit((fakes - mean) / spread) @ centres.T).argmax(1)
    return (nearest == list(drawings).index(group)).float()


def _directions(centres: Sequence[Tensor]) -> Tensor:
    return _unit(torch.stack(list(centres)))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)
