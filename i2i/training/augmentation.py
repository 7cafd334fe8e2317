"""Augmentation of the discriminators' input, real and fake, against memorising small groups.

Zhao et al. 2020 (DiffAugment, arXiv 2006.10738) always augment; Karras et al. 2020 (ADA, arXiv 2006.06676) adapt the
probability to the discriminators' overfitting. Gradients reach the generators through the augmentation; the
generators' input and output are not augmented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from i2i.config.run import RunConfig
from i2i.contracts.augmentation import Augmentation, Unaugmented

MOST = 0.8  # above it, augmentations leak into the generated images (Karras et al. 2020, section 2.2)

INTERVAL = 4  # steps between adjustments of a probability, as published

FURTHEST = 1 / 8  # maximum shift as a fraction of the side, as published for DiffAugment

HOLE = 1 / 2  # side of the cutout as a fraction of the image side, as published for DiffAugment

Operation = Callable[[Tensor, float, float], Tensor]


class DiffAugment(Augmentation):
    """All operations on every image (Zhao et al. 2020, policy "color,translation,cutout").

    Args:
        spared: A group whose images are left as they are, such as the base group, which has many.
    """

    def __init__(self, spared: str | None = None) -> None:
        self._spared = spared

    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x``, ``(N, 3, H, W)``, changed by all operations."""
        chances = [float(group != self._spared) for group in groups]
        return augment(x, chances) if any(chances) else x


class Adaptive(Augmentation):
    """Operations with a probability that follows the discriminator's confidence on real images (Karras et al. 2020).

    Each domain and group has its own probability, since ten images are memorised long before a hundred. It rises while
    r_t = E[sign(D(real) - boundary)] (eq. 1) is above ``target``, and falls below it.

    Args:
        boundary: The logit between real and fake: 0.5 for least squares, the optimal output where real and fake are
            indistinguishable; 0 for the other GAN losses.
        rise: Steps a probability takes to rise from 0 to 1.
        target: The target for r_t.
    """

    def __init__(self, boundary: float, rise: float, target: float = 0.6) -> None:
        self._boundary, self._rise, self._target = boundary, rise, target
        self._chances: dict[str, float] = {}
        self._observed: dict[str, tuple[float, int]] = {}  # sum of r_t since the last adjustment, and steps

    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x``, ``(N, 3, H, W)``, each sample changed with the probability of its group."""
        return augment(x, [self._chances.get(f"{domain}/{group}", 0.0) for group in groups])

    def observe(self, domain: str, logits: Sequence[Tensor], groups: Sequence[str]) -> None:
        """Accumulate the mean sign of real logits relative to the boundary; all scales and parts weigh the same."""
        sides = [reduce((one.detach().float() - self._boundary).sign(), "n ... -> n", "mean") for one in logits]
        means = reduce(sides, "part n -> n", "mean").tolist()
        for group in dict.fromkeys(groups):
            signs = [mean for mean, of in zip(means, groups, strict=True) if of == group]
            self._accumulate(f"{domain}/{group}", sum(signs) / len(signs))

    @property
    def chances(self) -> dict[str, float]:
        """The augmentation probability by ``domain/group``."""
        return dict(self._chances)

    def state(self) -> dict[str, Tensor]:
        """Return probability, observed sum and observed steps per domain and group, each ``(3,)``."""
        known = self._chances.keys() | self._observed.keys()
        rows = {key: (self._chances.get(key, 0.0), *self._observed.get(key, (0.0, 0))) for key in sorted(known)}
        return {key: torch.tensor(row, dtype=torch.float64) for key, row in rows.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the result of `state`."""
        rows = {key: row.tolist() for key, row in state.items()}
        self._chances = {key: chance for key, (chance, _, _) in rows.items()}
        self._observed = {key: (total, int(steps)) for key, (_, total, steps) in rows.items()}

    def _accumulate(self, key: str, overconfidence: float) -> None:
        total, steps = self._observed.get(key, (0.0, 0))
        total, steps = total + overconfidence, steps + 1
        if steps == INTERVAL:
            change = INTERVAL / self._rise * (1 if total / steps > self._target else -1)
            self._chances[key] = min(MOST, max(0.0, self._chances.get(key, 0.0) + change))
            total, steps = 0.0, 0
        self._observed[key] = total, steps


def choose_augmentation(config: RunConfig, steps: int, boundary: float, base: str) -> Augmentation:
    """Return the augmentation chosen by a configuration.

    Args:
        config: The configuration of the run.
        steps: Steps of the stage.
        boundary: The logit between real and fake.
        base: The base group.
    """
    match config.augment:
        case "ada":
            return Adaptive(boundary, max(1.0, config.ada_rise * steps), config.ada_target)
        case "diffaugment":
            return DiffAugment()
        case "few-shot":
            return DiffAugment(spared=base)
    return Unaugmented()


def augment(x: Tensor, chances: Sequence[float]) -> Tensor:
    """Change each sample by brightness, saturation, contrast, a shift and a hole, each with the sample's probability.

    Each sample consumes one row of random numbers from torch's global CPU generator, whichever operations are applied.
    Shifted-in and cut-out pixels are 0 (grey), as published. Supports gradients and double backward.

    Args:
        x: ``(N, 3, H, W)`` in [-1, 1]; the result may leave the range.
        chances: One probability per sample.
    """
    draws = torch.rand(len(x), len(OPERATIONS), 3).tolist()
    return torch.stack([_change(*sample) for sample in zip(x, draws, chances, strict=True)])


def brighten(x: Tensor, amount: float, _: float = 0.0) -> Tensor:
    """Add -0.5 to 0.5 to all values of ``x``, ``(3, H, W)``, for an amount in [0, 1)."""
    return x + (amount - 0.5)


def saturate(x: Tensor, amount: float, _: float = 0.0) -> Tensor:
    """Move each pixel of ``x``, ``(3, H, W)``, from its grey value by a factor of 0 to 2, for an amount in [0, 1)."""
    grey = reduce(x, "c h w -> 1 h w", "mean")
    return grey + (x - grey) * (2 * amount)


def contrast(x: Tensor, amount: float, _: float = 0.0) -> Tensor:
    """Move all values of ``x``, ``(3, H, W)``, from their mean by a factor of 0.5 to 1.5, for an amount in [0, 1)."""
    mean = x.mean()
    return mean + (x - mean) * (amount + 0.5)


def shift(x: Tensor, down: float, right: float) -> Tensor:
    """Shift ``x``, ``(3, H, W)``, by up to an eighth of its sides; 0 is fully up or left, 1 down or right."""
    (rows, columns) = (_whole(at, side) for at, side in zip((down, right), x.shape[1:], strict=True))
    return F.pad(x, (columns, -columns, rows, -rows))


def cut_out(x: Tensor, down: float, right: float) -> Tensor:
    """Set a window of half the sides of ``x``, ``(3, H, W)``, to 0; its centre can be anywhere in the image."""
    spans = [_window(at, side) for at, side in zip((down, right), x.shape[1:], strict=True)]
    mask = x.new_ones(x.shape[1:])
    mask[spans[0], spans[1]] = 0
    return x * mask


OPERATIONS: tuple[Operation, ...] = (brighten, saturate, contrast, shift, cut_out)


def _change(image: Tensor, draws: Sequence[Sequence[float]], chance: float) -> Tensor:
    for operation, (lot, first, second) in zip(OPERATIONS, draws, strict=True):
        if lot < chance:
            image = operation(image, first, second)
    return image


def _whole(at: float, side: int) -> int:
    furthest = round(side * FURTHEST)
    return int(at * (2 * furthest + 1)) - furthest


def _window(at: float, side: int) -> slice:
    size = round(side * HOLE)
    start = int(at * (side + 1)) - size // 2
    return slice(max(0, start), min(side, start + size))
