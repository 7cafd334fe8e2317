"""Translate held-out images, score them against the true drawings, and show them; ask if judges learned by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from i2i.backbone import Backbone
from i2i.dataset import Dataset
from i2i.engine import random_state, set_random_state
from i2i.events import blaming
from i2i.images import Block, crop_centre, fit_short_side, read_image, to_image, to_tensor
from i2i.metric import Case, Images, Metric, Score
from i2i.model import Model
from i2i.plugins import Registry

T = TypeVar("T")
CHUNK = 16  # images translated at once
LEAST_GAP = 0.05  # between the logits of real and fake: below it no judge has learned anything, least of all by heart
Scores = dict[str, dict[str, Score]]


def evaluate(model: Model, dataset: Dataset, registry: Registry) -> Scores:
    """Score the translation of every group's held-out sources; groups that the model lacks go through its base.

    Returns:
        Group to metric to score; groups without held-out sources are left out.
    """
    judged = [group for group in dataset.groups if dataset.pairs(group) or dataset.test(group, "a")]
    found = {group: _scores(model, _case(model, dataset, group), registry) for group in judged}
    return {group: scores for group, scores in found.items() if scores}


def show(models: Mapping[str, Model], dataset: Dataset, count: int = 8) -> list[Block]:
    """Return a block a group: sources, what each of the labelled models makes of them, and the truth if known."""
    return [_block(models, dataset, group, count) for group in dataset.groups]


@torch.no_grad()
def overfitting(model: Model, dataset: Dataset, count: int = 16) -> dict[str, float]:
    """Return how much the discriminator of domain b takes held-out drawings for fakes, by group.

    (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(fake)]), Karras et al. 2020 (arXiv 2006.06676, eq. 1): 0 when
    held-out drawings are judged like those that it was trained on, 1 when like fakes. Images are judged whole and
    unaugmented. Training is left undisturbed: nothing iterates, and every random generator is put back.

    Args:
        model: The model in training.
        dataset: Its data.
        count: How many images of each kind are judged at most.

    Returns:
        Group to figure; groups without held-out drawings, or whose real and fake are not told apart, are left out.
    """
    groups = [group for group in model.groups if group in dataset.groups and dataset.test(group, "b")]
    with _undisturbed(model.backbone):
        found = {group: _overfitting(model, dataset, group, count) for group in groups}
    return {group: figure for group, figure in found.items() if figure is not None}


def _overfitting(model: Model, dataset: Dataset, group: str, count: int) -> float | None:
    sources, train, held_out = (
        _stack(_spread(paths, count), model.size)
        for paths in (dataset.train(group, "a"), dataset.train(group, "b"), dataset.test(group, "b"))
    )
    fakes = model.translate(sources, group)
    real, unseen, fake = (_logit(model, images, group) for images in (train, held_out, fakes))
    return (real - unseen) / (real - fake) if real - fake > LEAST_GAP else None


def _logit(model: Model, images: Tensor, group: str) -> float:
    verdict = model.backbone.verdict("b", images.to(model.device), (group,) * len(images))
    return float(torch.stack([logits.float().mean() for logits in verdict.logits]).mean())


@contextmanager
def _undisturbed(backbone: Backbone) -> Iterator[None]:
    was_training, state = backbone.training, random_state()
    backbone.eval()
    try:
        yield
    finally:
        backbone.train(was_training)
        set_random_state(state)


def _scores(model: Model, case: Case, registry: Registry) -> dict[str, Score]:
    found: dict[str, Score] = {}
    for name in registry.names("metric"):
        with blaming(registry, "metric", name):
            metric = registry.metric(name)
            if _fits(metric, case):
                found[name] = metric(metric.Config(), model.device).score(case)
    return found


def _fits(metric: type[Metric], case: Case) -> bool:
    enough = len(case.fake) >= metric.fewest and len(case.real) >= metric.fewest_real
    return enough and (case.truth is not None or not metric.paired)


def _case(model: Model, dataset: Dataset, group: str) -> Case:
    """Gather what a group is judged by: its held-out pairs, or where there are none its held-out sources."""
    pairs = dataset.pairs(group) or ()
    sources = _images([source for source, _ in pairs] or dataset.test(group, "a"), model.size)
    fakes = [model.translate(chunk, _served(model, group)) for chunk in sources]
    return Case(
        group,
        Images(lambda: iter(fakes), sources.names),
        sources,
        _images(dataset.test(group, "b"), model.size),
        _images([truth for _, truth in pairs], model.size) if pairs else None,
        {name: _images(dataset.train(name, "b"), model.size) for name in dataset.groups},
    )


def _images(paths: Sequence[Path], size: int) -> Images:
    def chunks() -> Iterator[Tensor]:
        return (_stack(paths[start : start + CHUNK], size) for start in range(0, len(paths), CHUNK))

    return Images(chunks, [path.stem for path in paths])


def _block(models: Mapping[str, Model], dataset: Dataset, group: str, count: int) -> Block:
    sources, truths = _examples(dataset, group, count)
    rows = [("source", [_square(path, 256) for path in sources])]
    for label, model in models.items():
        images = model.translate(_stack(sources, model.size), _served(model, group))
        rows.append((label, [to_image(image) for image in images]))
    if truths:
        rows.append(("true drawing", [_square(path, 256) for path in truths]))
    return Block(group, rows)


def _served(model: Model, group: str) -> str | None:
    return group if group in model.groups else None


def _examples(dataset: Dataset, group: str, count: int) -> tuple[list[Path], list[Path]]:
    pairs = _spread(dataset.pairs(group) or (), count)
    if pairs:
        return [source for source, _ in pairs], [truth for _, truth in pairs]
    return _spread(dataset.test(group, "a") or dataset.train(group, "a"), count), []


def _spread(items: Sequence[T], count: int) -> list[T]:
    step = max(1, len(items) / count)
    return [items[int(i * step)] for i in range(min(count, len(items)))]


def _square(path: Path, size: int) -> Image.Image:
    return crop_centre(fit_short_side(read_image(path), size), size)


def _stack(paths: Sequence[Path], size: int) -> Tensor:
    return torch.stack([to_tensor(_square(path, size)) for path in paths])
