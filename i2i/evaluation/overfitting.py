"""Detect discriminators that have memorised the training drawings."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.config.run import STEPS_OPTIONS
from i2i.contracts.dataset import Dataset
from i2i.contracts.translator import Translator
from i2i.evaluation.heldout import stack, undisturbed
from i2i.images.grids import spread

LEAST_GAP = 0.05  # between real and fake logits; below it, the discriminator has not learned anything yet
RUNAWAY = 0.5  # above this, logits of held-out drawings are closer to those of fakes than to those of training drawings
FEWEST = 4  # held-out drawings; with fewer, the figure is too noisy for a warning


def overfitting(model: Translator, dataset: Dataset, count: int = 16) -> dict[str, float]:
    """Return how strongly the discriminator of domain b mistakes held-out drawings for fakes, by group.

    (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(fake)]), Karras et al. 2020 (arXiv 2006.06676, eq. 1): 0 if
    held-out drawings score like training drawings, 1 if like fakes. Images are centre squares, not
    augmented. Training is not affected: no iterator advances, and all random generators are restored.

    Args:
        model: The model being trained.
        dataset: Its data.
        count: Maximum number of images of each kind.

    Returns:
        Figure by group, without groups that lack held-out drawings or whose real and fake images score alike.
    """
    groups = [group for group in model.groups if group in dataset.groups and dataset.test(group, "b")]
    with undisturbed(model.backbone):
        figures = {group: _overfitting(model, dataset, group, count) for group in groups}
    return {group: figure for group, figure in figures.items() if figure is not None}


def remedy(stage: str, augment: str) -> str:
    """Return the options that reduce memorisation, given the current ``--augment``."""
    ada = "" if augment == "ada" else "--augment ada, "
    return f"{ada}fewer {STEPS_OPTIONS[stage]}"


def _overfitting(model: Translator, dataset: Dataset, group: str, count: int) -> float | None:
    sources, train, held_out = (
        stack(spread(paths, count), model.size)
        for paths in (dataset.train(group, "a"), dataset.train(group, "b"), dataset.test(group, "b"))
    )
    fakes = model.translate(sources, group)
    real, unseen, fake = (_logit(model, images, group) for images in (train, held_out, fakes))
    return (real - unseen) / (real - fake) if real - fake > LEAST_GAP else None


def _logit(model: Translator, images: Tensor, group: str) -> float:
    verdict = model.backbone.verdict("b", images.to(model.device), (group,) * len(images))
    return float(torch.stack([logits.float().mean() for logits in verdict.logits]).mean())
