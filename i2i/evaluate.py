"""Translate held-out images, score them against the true drawings, and show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from i2i.dataset import Dataset
from i2i.events import blaming
from i2i.images import Block, crop_centre, fit_short_side, read_image, to_image, to_tensor
from i2i.metric import Score
from i2i.model import Model
from i2i.plugins import Registry

T = TypeVar("T")
CHUNK = 16  # images translated at once
Scores = dict[str, dict[str, Score]]


def evaluate(model: Model, dataset: Dataset, registry: Registry) -> Scores:
    """Score the translation of every group's held-out pairs; groups that the model lacks go through its base.

    Returns:
        Group to metric to score; groups without pairs are left out.
    """
    pairs = {group: dataset.pairs(group) for group in dataset.groups}
    return {group: _scores(model, group, found, registry) for group, found in pairs.items() if found}


def show(models: Mapping[str, Model], dataset: Dataset, count: int = 8) -> list[Block]:
    """Return a block a group: sources, what each of the labelled models makes of them, and the truth if known."""
    return [_block(models, dataset, group, count) for group in dataset.groups]


def _scores(model: Model, group: str, pairs: Sequence[tuple[Path, Path]], registry: Registry) -> dict[str, Score]:
    def ask(name: str, function: Callable[..., T], **images: Tensor) -> T:
        with blaming(registry, "metric", name):
            return function(**images)

    metrics = {name: ask(name, registry.metric(name)) for name in registry.names("metric")}
    for start in range(0, len(pairs), CHUNK):
        sources, reals = (_stack(paths, model.size) for paths in zip(*pairs[start : start + CHUNK], strict=True))
        fakes = model.translate(sources, _served(model, group))
        for name, metric in metrics.items():
            ask(name, metric.update, real=reals, fake=fakes, source=sources)
    return {name: ask(name, metric.compute) for name, metric in metrics.items()}


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
