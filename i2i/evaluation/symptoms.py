"""Symptoms of training gone wrong that can be seen in translations; each is a figure, a limit, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from torch import Tensor

from i2i.config.run import STEPS_OPTIONS

PATCH = 1 / 8  # side of the smallest solid patch that counts as a blob, of the image's; eyes and lines are thinner
SOLID = 0.9  # from here on to 1, in every channel, white; and black likewise
BEND = 3  # frequencies of the spectrum that count as the finest pattern's own; thrice as many are its surroundings
FAINT = 0.004  # amplitude of a pattern that nobody sees
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
ALIKE = 0.02  # mean difference between sources below which nothing can be said of how translations differ


@dataclass(frozen=True)
class Look:
    """What a symptom is looked for in: images of one group, each ``(N, 3, H, W)`` in [-1, 1].

    Attributes:
        source: Sources.
        fake: Their translations, in the same order.
        real: Drawings of the group, any number.
    """

    source: Tensor
    fake: Tensor
    real: Tensor


@dataclass(frozen=True)
class Symptom:
    """One way in which training goes wrong.

    Attributes:
        name: What ``metrics.jsonl`` calls it.
        title: What a person calls it.
        limit: The figure from which on it is warned of.
        meaning: What the figure says.
        advice: What helps, with ``{steps}`` for the option that makes the stage longer.
        figure: Returns the figure; None where a look is too small or too uniform to tell.
    """

    name: str
    title: str
    limit: float
    meaning: str
    advice: str
    figure: Callable[[Look], float | None]

    def remedy(self, stage: str) -> str:
        """Return what helps in a stage."""
        return self.advice.format(steps=STEPS_OPTIONS[stage])


def blobs(look: Look, fewest: int = 4) -> float | None:
    """Return how much more often translations have a solid black or white patch at one place than drawings have.

    A pixel counts where it lies in a wholly black or wholly white square of an eighth of the side. The figure is that
    of the pixel where the share of translations exceeds the share of drawings most; where the source is as black or
    white itself a translation does not count. From 0, the drawings' own share everywhere, to 1: all translations are
    solid at a place where no drawing is. Blobs that wander over the images are not found.
    """
    if min(len(look.fake), len(look.real)) < fewest:
        return None
    return max(float(_excess(look, sign).max()) for sign in (1, -1))


def inversion(look: Look) -> float | None:
    """Return how far translations are negatives of their sources: the mean correlation of luma, times -1.

    From -1, as light and dark as the source, over 0, unrelated, to 1, its negative.
    """
    source, fake = (rearrange(_luma(x), "n h w -> n (h w)") for x in (look.source, look.fake))
    source, fake = (x - reduce(x, "n pixel -> n 1", "mean") for x in (source, fake))
    return -float(F.cosine_similarity(source, fake, dim=1).mean())


def checkerboard(look: Look) -> float | None:
    """Return how strong patterns of two pixels are, beside those that are hardly coarser.

    The power of the luma's spectrum around the finest frequency, across, down, and both, over that of its
    surroundings and of a pattern that is too faint to be seen; the strongest of the three, and the median over
    translations. About 0.2 when no frequency stands out. Transposed convolutions leave such patterns (Odena et al.
    2016, "Deconvolution and Checkerboard Artifacts").
    """
    luma = _luma(look.fake)
    height, width = luma.shape[1:]
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    power = torch.fft.fft2((luma - reduce(luma, "n h w -> n 1 1", "mean")) * window).abs() ** 2  # (N, H, W)
    faint = FAINT**2 * float((window**2).sum()) * window.numel()
    down, across = torch.fft.fftfreq(height).abs()[:, None], torch.fft.fftfreq(width).abs()
    away = [torch.maximum((down - y).abs(), (across - x).abs()) * height for y, x in _FINEST]
    found = [_peak(power, distance, faint) for distance in away]
    return float(reduce(found, "frequency n -> n", "max").median())


def sameness(look: Look) -> float | None:
    """Return how far translations are one and the same: 1 less their mean difference by that between their sources.

    At most 1, all are identical; 0 and below, they differ as much as their sources or more.
    """
    spread = _spread(look.source)
    return None if spread < ALIKE else 1 - _spread(look.fake) / spread


def copying(look: Look) -> float | None:
    """Return how far translations are their own sources: 1 less the mean change by the difference between sources.

    At most 1, nothing has changed; 0 and below, a translation is as far from its source as another source is, or more.
    """
    spread = _spread(look.source)
    return None if spread < ALIKE else 1 - float((look.fake - look.source).abs().mean()) / spread


SYMPTOMS = (
    Symptom(
        "blobs",
        "Blobs",
        0.8,
        "Translations are solid black or white at one place, where drawings are not.",
        "Lower the learning rate (--backbone.lr), average the weights (--ema 0.999), or hold the discriminators back "
        "with a gradient penalty (--loss.adversarial.r1 1).",
        blobs,
    ),
    Symptom(
        "inversion",
        "Inverted colours",
        0.2,
        "Translations are light where their sources are dark. That is right only if drawings are negatives.",
        "Start again with another --seed, and raise --loss.identity, which ties colours to the source.",
        inversion,
    ),
    Symptom(
        "checkerboard",
        "Checkerboard",
        0.7,
        "A pattern of two pixels lies over the translations.",
        "Train longer ({steps}): a faint one fades. If it stays, take a generator that enlarges by interpolation, "
        "such as --generator ugatit.",
        checkerboard,
    ),
    Symptom(
        "sameness",
        "Identical outputs",
        0.8,
        "Translations hardly depend on their source.",
        "Raise --loss.cycle, or change what the discriminators see (--augment ada). If the model is small, widen it "
        "(--backbone.channels).",
        sameness,
    ),
    Symptom(
        "copying",
        "Nothing translated",
        0.8,
        "Translations hardly differ from their source.",
        "Train longer ({steps}), or lower --loss.identity and --loss.cycle, which reward to leave images alone.",
        copying,
    ),
)
"""Every symptom that is looked for. Limits lie between what good translations and drawings show, and what the symptom
itself shows; ``tests/test_symptoms.py`` holds them to it."""

_FINEST = ((0.5, 0.5), (0.5, 0.0), (0.0, 0.5))  # cycles a pixel, down and across


def figures(look: Look) -> dict[str, float]:
    """Return every symptom's figure by its name; without those that cannot be told here."""
    found = {symptom.name: symptom.figure(look) for symptom in SYMPTOMS}
    return {name: figure for name, figure in found.items() if figure is not None}


def afflicted(found: Mapping[str, Mapping[str, float]], symptom: Symptom) -> dict[str, float]:
    """Return the groups that have a symptom, worst first, with their figures."""
    have = {group: own[symptom.name] for group, own in found.items() if own.get(symptom.name, -2.0) >= symptom.limit}
    return dict(sorted(have.items(), key=lambda item: -item[1]))


def _luma(x: Tensor) -> Tensor:
    return einsum(x, torch.tensor(LUMA), "n c h w, c -> n h w")


def _excess(look: Look, sign: int) -> Tensor:
    """Return ``(H, W)``: by how much the share of translations that are solid there exceeds that of drawings."""
    kept = reduce(sign * look.source, "n c h w -> n h w", "min") > 0.5  # the source is as light, or as dark
    fake, real = _solid(sign * look.fake) & ~kept, _solid(sign * look.real)
    return reduce(fake.float(), "n h w -> h w", "mean") - reduce(real.float(), "n h w -> h w", "mean")


def _solid(x: Tensor) -> Tensor:
    """Return ``(N, H, W)``: which pixels lie in a wholly white square."""
    side = max(3, round(PATCH * x.shape[-1]))
    white = (reduce(x, "n c h w -> n 1 h w", "min") > SOLID).float()
    squares = 1 - F.max_pool2d(1 - white, side, 1)  # a square is white if its worst pixel is
    return F.max_pool2d(F.pad(squares, (side - 1,) * 4), side, 1)[:, 0] > 0


def _peak(power: Tensor, away: Tensor, faint: float) -> Tensor:
    """Return each image's power within ``BEND`` of a frequency over that further out, and ``faint``."""
    near, around = away <= BEND, (away > BEND) & (away <= 3 * BEND)
    return power[:, near].sum(1) / (power[:, around].sum(1) + faint)


def _spread(x: Tensor) -> float:
    """Return the mean absolute difference between two images of ``x``; 0 when there is only one."""
    return float(torch.pdist(rearrange(x, "n c h w -> n (c h w)"), p=1).mean()) / x[0].numel() if len(x) > 1 else 0.0
