"""Symptoms of failed training visible in translations, each with a figure, a limit and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from torch import Tensor

from i2i.config.run import STEPS_OPTIONS

PATCH = 1 / 8  # side of the smallest blob, relative to the image; eyes are smaller
SOLID = 0.9  # a pixel is white if all channels are above this, black if all are below its negative
BEND = 3  # half-width of a spectral peak in cycles per image; its surroundings extend three times as far
FAINT = 0.004  # amplitude of an invisible pattern
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FLAT, EDGE = 0.02, 0.3  # changes of luma from pixel to pixel: below, nothing is seen; above, a line is
ALIKE = 0.02  # mean difference between sources below which differences between translations are meaningless


@dataclass(frozen=True)
class Look:
    """Images of one group to check for symptoms, each ``(N, 3, H, W)`` in [-1, 1].

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
    """One way training goes wrong.

    Attributes:
        name: Its name in ``metrics.jsonl``.
        title: The displayed name.
        limit: The lowest figure that triggers a warning.
        meaning: What a high figure means.
        advice: The remedy, with ``{steps}`` for the option that makes the stage longer.
        figure: Computes the figure; None if the images are too few or too uniform.
    """

    name: str
    title: str
    limit: float
    meaning: str
    advice: str
    figure: Callable[[Look], float | None]

    def remedy(self, stage: str) -> str:
        """Return the remedy for a stage."""
        return self.advice.format(steps=STEPS_OPTIONS[stage])


def blobs(look: Look, fewest: int = 4) -> float | None:
    """Return how much more often translations than drawings have a solid black or white patch at the same place.

    A pixel counts if it is inside an entirely black (or white) square with an eighth of the image's side; in a
    translation, only if its source is not dark (or light) there too. The figure is the largest excess, over all
    pixels, of the share of translations over the share of drawings: 1 if all translations are solid where no drawing
    is. Blobs that move between images are not detected.
    """
    if min(len(look.fake), len(look.real)) < fewest:
        return None
    return max(float(_excess(look, sign).max()) for sign in (1, -1))


def inversion(look: Look) -> float | None:
    """Return how closely translations resemble negatives of their sources: minus the mean correlation of luma.

    -1: same light and dark areas as the source; 0: unrelated; 1: its negative.
    """
    source, fake = (rearrange(_luma(x), "n h w -> n (h w)") for x in (look.source, look.fake))
    source, fake = (x - reduce(x, "n pixel -> n 1", "mean") for x in (source, fake))
    return -float(F.cosine_similarity(source, fake, dim=1).mean())


def checkerboard(look: Look) -> float | None:
    """Return the strength of two-pixel patterns relative to slightly coarser ones.

    For the finest frequency across, down and both: the spectral power of luma around it, divided by that of its
    surroundings plus that of an invisible pattern. The figure is the largest of the three, as a median over
    translations; about 0.2 if no frequency stands out. Transposed convolutions leave such patterns (Odena et al. 2016,
    "Deconvolution and Checkerboard Artifacts").
    """
    luma = _luma(look.fake)
    height, width = luma.shape[1:]
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    power = torch.fft.fft2((luma - reduce(luma, "n h w -> n 1 1", "mean")) * window).abs() ** 2  # (N, H, W)
    faint = FAINT**2 * float((window**2).sum()) * window.numel()
    down, across = torch.fft.fftfreq(height).abs()[:, None], torch.fft.fftfreq(width).abs()
    away = [torch.maximum((down - y).abs(), (across - x).abs()) * height for y, x in _FINEST]
    peaks = [_peak(power, distance, faint) for distance in away]
    return float(reduce(peaks, "frequency n -> n", "max").median())


def sameness(look: Look) -> float | None:
    """Return how alike translations are: 1 - mean difference between them / mean difference between their sources.

    1: all identical; 0 or less: they differ at least as much as their sources.
    """
    spread = _spread(look.source)
    return None if spread < ALIKE else 1 - _spread(look.fake) / spread


def copying(look: Look) -> float | None:
    """Return how little translations change: 1 - mean difference from the source / mean difference between sources.

    1: unchanged; 0 or less: a translation is at least as far from its source as other sources are.
    """
    spread = _spread(look.source)
    return None if spread < ALIKE else 1 - float((look.fake - look.source).abs().mean()) / spread


def smears(look: Look, fewest: int = 4) -> float | None:
    """Return how much blurrier, or how much less flat, translations are than drawings, whichever is more.

    Blurrier: 1 - the contrast of a pixel with its neighbours in translations / that in drawings. Less flat: the share
    of pixels at a gradual change of luma, neither flat nor an edge, in translations beyond that in drawings, as a
    part of what it could be. 0: like drawings; 1: without any contrast, or gradual everywhere.
    """
    if min(len(look.fake), len(look.real)) < fewest:
        return None
    fake, real = _luma(look.fake), _luma(look.real)
    contrast, gradual = _contrast(real), _gradual(real)
    if contrast < ALIKE or gradual == 1:
        return None
    return max(1 - _contrast(fake) / contrast, (_gradual(fake) - gradual) / (1 - gradual))


SYMPTOMS = (
    Symptom(
        "blobs",
        "Blobs",
        0.8,
        "Translations are solid black or white at a place where drawings are not.",
        "Lower the learning rate (--backbone.lr), average the weights (--ema 0.999), or restrain the discriminators "
        "with a gradient penalty (--loss.adversarial.r1 1).",
        blobs,
    ),
    Symptom(
        "inversion",
        "Inverted colours",
        0.2,
        "Translations are light where their sources are dark, which is correct only if drawings are negatives.",
        "Start again with another --seed and a higher --loss.identity, which ties colours to the source.",
        inversion,
    ),
    Symptom(
        "checkerboard",
        "Checkerboard",
        0.7,
        "A two-pixel pattern covers the translations.",
        "Train longer ({steps}): faint patterns fade. If it stays, use a generator that upsamples by interpolation: "
        "--generator.upsampling bilinear, where there is this option.",
        checkerboard,
    ),
    Symptom(
        "sameness",
        "Identical outputs",
        0.8,
        "Translations hardly depend on their source.",
        "Raise --loss.cycle, or augment the images that the discriminators see (--augment ada). Widen a small model "
        "(--backbone.channels).",
        sameness,
    ),
    Symptom(
        "copying",
        "Nothing translated",
        0.8,
        "Translations hardly differ from their source.",
        "Train longer ({steps}), or lower --loss.identity and --loss.cycle, which reward leaving images unchanged.",
        copying,
    ),
    Symptom(
        "smears",
        "Smears",
        0.2,
        "Translations are blurrier than drawings, or shade gradually where drawings have flat colours and sharp lines.",
        "Train longer ({steps}). If they stay, use a larger model (--backbone.channels) or more drawings.",
        smears,
    ),
)
"""All symptoms. Each limit separates good translations and drawings from images with the symptom, as checked in
``tests/evaluation/test_symptoms.py``."""

_FINEST = ((0.5, 0.5), (0.5, 0.0), (0.0, 0.5))  # cycles per pixel, down and across


def figures(look: Look) -> dict[str, float]:
    """Return figures by symptom, without those that cannot be computed from these images."""
    by_name = {symptom.name: symptom.figure(look) for symptom in SYMPTOMS}
    return {name: figure for name, figure in by_name.items() if figure is not None}


def afflicted(measured: Mapping[str, Mapping[str, float]], symptom: Symptom) -> dict[str, float]:
    """Return the figures of groups with a symptom, worst first."""
    by_group = {group: by_name[symptom.name] for group, by_name in measured.items() if symptom.name in by_name}
    high = {group: figure for group, figure in by_group.items() if figure >= symptom.limit}
    return dict(sorted(high.items(), key=lambda item: -item[1]))


def _luma(x: Tensor) -> Tensor:
    return einsum(x, torch.tensor(LUMA), "n c h w, c -> n h w")


def _contrast(luma: Tensor) -> float:
    """Return the standard deviation of pixels from the mean of their neighbourhood, over all images ``(N, H, W)``."""
    around = F.avg_pool2d(F.pad(luma[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    return float(reduce((luma - around) ** 2, "n h w -> n", "mean").sqrt().mean())


def _gradual(luma: Tensor) -> float:
    """Return the share of pixels whose luma changes by more than `FLAT` and less than `EDGE` to the next pixel."""
    across, down = luma[:, :-1, 1:] - luma[:, :-1, :-1], luma[:, 1:, :-1] - luma[:, :-1, :-1]
    change = torch.hypot(across, down)
    return float(((change > FLAT) & (change < EDGE)).float().mean())


def _excess(look: Look, sign: int) -> Tensor:
    """Return ``(H, W)``: per pixel, the share of translations solid there minus the share of drawings."""
    kept = reduce(sign * look.source, "n c h w -> n h w", "min") > 0.5  # the source is light (or dark) too
    fake, real = _solid(sign * look.fake) & ~kept, _solid(sign * look.real)
    return reduce(fake.float(), "n h w -> h w", "mean") - reduce(real.float(), "n h w -> h w", "mean")


def _solid(x: Tensor) -> Tensor:
    """Return ``(N, H, W)``: whether each pixel is inside an entirely white square."""
    side = max(3, round(PATCH * x.shape[-1]))
    white = (reduce(x, "n c h w -> n 1 h w", "min") > SOLID).float()
    squares = 1 - F.max_pool2d(1 - white, side, 1)  # a square is white if its darkest pixel is
    return F.max_pool2d(F.pad(squares, (side - 1,) * 4), side, 1)[:, 0] > 0


def _peak(power: Tensor, away: Tensor, faint: float) -> Tensor:
    """Return each image's power within ``BEND`` of a frequency, divided by the surrounding power plus ``faint``."""
    near, around = away <= BEND, (away > BEND) & (away <= 3 * BEND)
    return power[:, near].sum(1) / (power[:, around].sum(1) + faint)


def _spread(x: Tensor) -> float:
    """Return the mean absolute difference between images of ``x``; 0 if there is only one."""
    return float(torch.pdist(rearrange(x, "n c h w -> n (c h w)"), p=1).mean()) / x[0].numel() if len(x) > 1 else 0.0
