"""Whether discriminators have learned the training drawings by heart."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.config.run import STEPS_OPTIONS
from i2i.contracts.dataset import Dataset
from i2i.contracts.translator import Translator
from i2i.evaluation.heldout import spread, stack, undisturbed

LEAST_GAP = 0.05  # between the logits of real and fake: below it no judge has learned anything, least of all by heart
RUNAWAY = 0.5  # from here on held-out drawings are judged nearer to fakes than to training drawings
FEWEST = 4  # held-out drawings, below which the figure is too much a matter of chance for a warning


def overfitting(model: Translator, dataset: Dataset, count: int = 16) -> dict[str, float]:
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
    with undisturbed(model.backbone):
        found = {group: _overfitting(model, dataset, group, count) for group in groups}
    return {group: figure for group, figure in found.items() if figure is not None}


def remedy(stage: str, augment: str) -> str:
    """Return what keeps discriminators from learning by heart: options, where training augments as ``augment`` says."""
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
