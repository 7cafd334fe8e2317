"""Held-out images at model size, and translating them without affecting training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.compute.randomness import random_state, set_random_state
from i2i.contracts.dataset import Dataset
from i2i.contracts.metric import Images
from i2i.contracts.translator import Translator
from i2i.images.grids import Block, spread
from i2i.images.pixels import read_square, to_image, to_tensor
from i2i.models.model import evaluating
from i2i.storage.caches import digest

CHUNK = 16  # images per batch
CROP = "sRGB, shorter side resized bicubic, middle square"


def stack(paths: Sequence[Path], size: int) -> Tensor:
    """Read the centre squares of images as a tensor ``(N, 3, size, size)`` in [-1, 1]."""
    return torch.stack([to_tensor(read_square(path, size)) for path in paths])


def files(
    paths: Sequence[Path],
    size: int,
    design: Callable[[Path], str] = str,
    attributes: Callable[[Path], Mapping[str, str]] | None = None,
) -> Images:
    """Return the centre squares of image files; the key hashes the files' contents in order."""

    def chunks() -> Iterator[Tensor]:
        return (stack(paths[start : start + CHUNK], size) for start in range(0, len(paths), CHUNK))

    known = () if attributes is None else [attributes(path) for path in paths]
    return Images(chunks, [design(path) for path in paths], _key(paths, size), known)


def served(model: Translator, group: str) -> str | None:
    """Return the model's group for translating a group of the data: the same, or None (the base)."""
    return group if group in model.groups else None


def show(models: Mapping[str, Translator], dataset: Dataset, count: int = 8, *, drawings: bool = False) -> list[Block]:
    """Return one block per group: sources, translations by each labelled model, and true translations if known.

    Args:
        models: The models by label.
        dataset: The data.
        count: Images per row.
        drawings: Where no true translations are known, add a row of real drawings, which belong to no source.
    """
    return [_block(models, dataset, group, count, drawings) for group in dataset.groups]


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Run the block without gradients, ``network`` in evaluation mode; restore its mode and all random generators."""
    with evaluating(network), unnoticed(), torch.no_grad():
        yield


@contextmanager
def unnoticed() -> Iterator[None]:
    """Restore every random generator after the block."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


def _key(paths: Sequence[Path], size: int) -> str:
    parts = [f"{size} px, {CROP}", *(digest(path) for path in paths)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if paths else ""


def _block(models: Mapping[str, Translator], dataset: Dataset, group: str, count: int, drawings: bool) -> Block:
    sources, truths = _examples(dataset, group, count)
    rows = [("source", [read_square(path, 256) for path in sources])]
    for label, model in models.items():
        images = model.translate(stack(sources, model.size), served(model, group))
        rows.append((label, [to_image(image) for image in images]))
    if truths:
        rows.append(("true drawing", [read_square(path, 256) for path in truths]))
    elif drawings:
        real = spread(dataset.test(group, "b") or dataset.train(group, "b"), len(sources))
        rows.append(("real drawings", [read_square(path, 256) for path in real]))
    return Block(group, rows)


def _examples(dataset: Dataset, group: str, count: int) -> tuple[list[Path], list[Path]]:
    pairs = spread(dataset.pairs(group) or (), count)
    if pairs:
        return [source for source, _ in pairs], [truth for _, truth in pairs]
    return spread(dataset.test(group, "a") or dataset.train(group, "a"), count), []
