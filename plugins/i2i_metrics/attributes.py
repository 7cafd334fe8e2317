"""Attributes kept: does a translation show its source's attributes to a classifier of real drawings?"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from i2i import Case, Images, Metric, Score
from i2i_metrics.bootstrap import bootstrap

FOLDS = 2
STEPS = 50
SPREAD = 0.05
"""Added to the spread of every pixel, so that constant pixels do not count."""

Known = Sequence[Mapping[str, str]]


class Attributes(Metric):
    """Share of a source's attributes, such as skin tone, that its translation shows: 1 means all are kept.

    Attributes count equally. They are recognised by multinomial logistic regression on shrunken pixels, fitted to real
    drawings with known attributes, excluding the half of the designs that contains the classified image's. So the
    score of real drawings is the classifier's accuracy on unseen drawings; where that is low, the metric means little.
    """

    name = "attributes"
    higher_is_better = True
    by_default = False

    class Config(Metric.Config):
        """Options of the share of attributes kept."""

        side: int = Field(16, ge=1, description="Side in pixels to which images are shrunk before they are judged.")
        decay: float = Field(1e-3, gt=0, description="Penalty on the squares of the classifier's weights.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._kept: dict[tuple[str, ...], list[dict[str, _Classifier]]] = {}

    def obstacle(self, case: Case) -> str:
        """Require source attributes that the drawings show with different values."""
        if not any(case.source.attributes):
            return "the data knows no attributes of the sources"
        return "" if self._judged(case) else "no attribute of the sources has two values among the drawings"

    def score(self, case: Case) -> Score:
        """Return the mean share of attributes kept, over images."""
        return _over_images(torch.stack(list(self._all_hits(case).values()), 1).nanmean(1), case)

    def parts(self, case: Case) -> dict[str, Score]:
        """Return the share of images that keep each attribute, by name."""
        return {name: _over_images(hits, case) for name, hits in self._all_hits(case).items()}

    def _all_hits(self, case: Case) -> dict[str, Tensor]:
        """Return the hits of every judged attribute, see `_hits`."""
        classifiers, pixels = self._classifiers(case.drawings), _shrunk(case.fake, self.config.side)
        folds, wanted = _folds(case.fake.names), case.source.attributes
        return {name: self._hits(name, classifiers, pixels, folds, wanted) for name in self._judged(case)}

    def _hits(
        self, name: str, classifiers: list[dict[str, _Classifier]], pixels: Tensor, folds: Tensor, wanted: Known
    ) -> Tensor:
        """Return 1 for each image that shows the wanted value, 0 for another, and NaN where none is known, ``(N,)``."""
        hits = torch.full((len(pixels),), torch.nan)
        for fold, classifier in enumerate(classifiers):
            rows = [row for row in (folds == fold).nonzero().flatten().tolist() if name in wanted[row]]
            shown = classifier[name](pixels[rows])
            hits[rows] = torch.tensor(
                [float(value == wanted[row][name]) for row, value in zip(rows, shown, strict=True)]
            )
        return hits

    def _judged(self, case: Case) -> list[str]:
        """Return the attributes of the sources that have different values among the drawings, sorted."""
        values: dict[str, set[str]] = {}
        for known in (one for images in case.drawings.values() for one in images.attributes):
            for name, value in known.items():
                values.setdefault(name, set()).add(value)
        wanted = {name for known in case.source.attributes for name in known}
        return sorted(name for name in wanted if len(values.get(name, ())) > 1)

    def _classifiers(self, drawings: Mapping[str, Images]) -> list[dict[str, _Classifier]]:
        """Return, for each fold, one classifier per attribute fitted without that fold's drawings."""
        images = [one for one in drawings.values() if len(one) and len(one.attributes)]
        key = tuple(one.key for one in images)
        if key in self._kept:
            return self._kept[key]
        pixels = torch.cat([_shrunk(one, self.config.side) for one in images])
        known = [attributes for one in images for attributes in one.attributes]
        folds = _folds([name for one in images for name in one.names])
        fitted = [self._fit(pixels, known, _others(folds, fold)) for fold in range(FOLDS)]
        if all(key):
            self._kept[key] = fitted
        return fitted

    def _fit(self, pixels: Tensor, known: Known, rows: list[int]) -> dict[str, _Classifier]:
        names = sorted({name for attributes in known for name in attributes})
        fitted = {name: [row for row in rows if name in known[row]] for name in names}
        fitted = {n: used or [row for row in range(len(known)) if n in known[row]] for n, used in fitted.items()}
        return {
            name: _Classifier(pixels[used], [known[row][name] for row in used], self.config.decay)
            for name, used in fitted.items()
        }


class _Classifier:
    """Multinomial logistic regression, ``(N, D)`` to one value per row; deterministic, since it starts at zero."""

    def __init__(self, pixels: Tensor, values: Sequence[str], decay: float) -> None:
        self.values = sorted(set(values))
        self.mean, self.spread = pixels.mean(0), pixels.std(0, correction=0) + SPREAD
        self.weights = torch.zeros(pixels.shape[1] + 1, len(self.values), requires_grad=True)
        self._minimise(self._inputs(pixels), torch.tensor([self.values.index(value) for value in values]), decay)

    def __call__(self, pixels: Tensor) -> list[str]:
        """Return the most likely value of each image."""
        return [self.values[index] for index in (self._inputs(pixels) @ self.weights).argmax(1).tolist()]

    def _minimise(self, inputs: Tensor, targets: Tensor, decay: float) -> None:
        optimizer = torch.optim.LBFGS([self.weights], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(inputs @ self.weights, targets) + decay * self.weights[:-1].square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        self.weights.requires_grad_(False)

    def _inputs(self, pixels: Tensor) -> Tensor:
        return F.pad((pixels - self.mean) / self.spread, (0, 1), value=1.0)


def _over_images(shares: Tensor, case: Case) -> Score:
    """Return the mean of one figure per image, ``(N,)``, over the images whose figure is not NaN."""
    rows = shares.isfinite().nonzero().flatten().tolist()
    return bootstrap(shares[rows], [case.fake.names[row] for row in rows])


def _shrunk(images: Images, side: int) -> Tensor:
    """Return shrunken pixels, ``(N, 3 side side)``, computed on the CPU, where sums are reproducible."""
    return torch.cat([F.adaptive_avg_pool2d(chunk.float().cpu(), side).flatten(1) for chunk in images])


def _folds(designs: Sequence[str]) -> Tensor:
    """Return the fold of each image, ``(N,)``; a design's images share one fold."""
    return torch.tensor([zlib.crc32(design.encode()) % FOLDS for design in designs])


def _others(folds: Tensor, fold: int) -> list[int]:
    return [int(row) for row in (folds != fold).nonzero().flatten()]
