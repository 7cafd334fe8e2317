"""Distances between the features of translations and those of held-out drawings, as sets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from i2i import Case, Score, extract_features
from i2i_metrics.bootstrap import alike, around, counts
from i2i_metrics.seeing import Seeing

MOST = 1000
"""Images in a subset of the kernel distance."""
SUBSETS = 10
FRECHET_RESAMPLES = 100
Named = tuple[Tensor, Sequence[str]]
"""Features, ``(N, D)``, and the design of each."""
Drawn = tuple[Tensor, Tensor]
"""How often each image was drawn, ``(B, N)``, and which images share a design, ``(N, N)``."""


class FeatureDistance(Seeing):
    """A distance between two sets of features (abstract)."""

    fewest = 2
    fewest_real = 2

    def score(self, case: Case) -> Score:
        """Return the distance of the fakes to the held-out drawings; n counts the fakes."""
        real, fake = (extract_features(self.sees, images, self.device).double() for images in (case.real, case.fake))
        resampled = self._resampled((real, case.real.names), (fake, case.fake.names))
        return around(self._distance(real, fake), resampled, len(fake))

    @abstractmethod
    def _distance(self, real: Tensor, fake: Tensor) -> float:
        """Return the distance of ``(M, D)`` and ``(N, D)``."""

    @abstractmethod
    def _resampled(self, real: Named, fake: Named) -> Tensor:
        """Return the distances of resampled sets, given as features and designs."""


class Kernel(FeatureDistance):
    """Kernel distance between translations and held-out drawings; 0 for equal distributions.

    The estimator of KID (Binkowski et al. 2018, "Demystifying MMD GANs", arXiv 1801.01401): the unbiased squared
    maximum mean discrepancy with the kernel (x . y / D + 1)^3, which may be negative; for more than 1000 images,
    the mean over subsets of 1000. It equals KID only with the network ``inception``. Unlike a Frechet distance it does
    not grow when there are few images; the interval shows the uncertainty.
    """

    name = "kernel"

    def _distance(self, real: Tensor, fake: Tensor) -> float:
        return kernel_distance(real, fake)

    def _resampled(self, real: Named, fake: Named) -> Tensor:
        sides = [(features[:MOST], designs[:MOST]) for features, designs in (real, fake)]
        drawn = ((counts(designs, seed=seed), alike(designs)) for seed, (_, designs) in enumerate(sides))
        return _discrepancies(_kernels(*(features for features, _ in sides)), *drawn)


class Frechet(FeatureDistance):
    """Frechet distance between Gaussians fitted to the features; 0 where mean and covariance are equal.

    Heusel et al. 2017 (arXiv 1706.08500), eq. 6; it is FID only with FID's network. With fewer images than features it
    mostly measures their number: compare it only between equal numbers of images.
    """

    name = "frechet"
    by_default = False

    def _distance(self, real: Tensor, fake: Tensor) -> float:
        return frechet_distance(real, fake)

    def _resampled(self, real: Named, fake: Named) -> Tensor:
        pairs = zip(*(_redrawn(*side, seed) for seed, side in enumerate((real, fake))), strict=True)
        return torch.tensor([frechet_distance(x, y) for x, y in pairs])


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of two sets of features, ``(M, D)`` and ``(N, D)``.

    With more than 1000 images per side, the mean over ten seeded subsets of 1000.
    """
    generator = torch.Generator().manual_seed(0)
    count = 1 if max(len(real), len(fake)) <= MOST else SUBSETS
    distances = [_once(_subset(real, generator), _subset(fake, generator)) for _ in range(count)]
    return sum(distances) / count


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return the squared Frechet distance of Gaussians fitted to features, ``(M, D)`` and ``(N, D)``, in float64.

    The trace of the root of the covariances' product is the sum of the singular values of the cross-Gram matrix, or,
    where there are more images than features, of the product of Cholesky-like factors.
    """
    (mean_a, a), (mean_b, b) = (_centred(features.double()) for features in (real, fake))
    trace = torch.linalg.svdvals(a @ b.T).sum()
    distance = (mean_a - mean_b).square().sum() + a.square().sum() + b.square().sum() - 2 * trace
    return max(0.0, float(distance))


def _centred(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean, and a matrix, at most ``(D, D)``, whose product with itself transposed is the covariance."""
    mean = features.mean(0)
    factor = (features - mean) / (len(features) - 1) ** 0.5
    return mean, torch.linalg.qr(factor, mode="r").R if len(factor) > factor.shape[1] else factor


def _subset(features: Tensor, generator: torch.Generator) -> Tensor:
    if len(features) <= MOST:
        return features
    return features[torch.randperm(len(features), generator=generator)[:MOST]]


def _once(real: Tensor, fake: Tensor) -> float:
    each = ((torch.ones(1, len(x), dtype=x.dtype), torch.eye(len(x), dtype=x.dtype)) for x in (real, fake))
    return _discrepancies(_kernels(real, fake), *each).item()


def _kernels(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the kernels within both sets, with zero diagonals, and between them."""
    within = [_kernel(x, x).fill_diagonal_(0) for x in (real, fake)]
    return within[0], within[1], _kernel(real, fake)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _discrepancies(kernels: tuple[Tensor, Tensor, Tensor], real: Drawn, fake: Drawn) -> Tensor:
    """Return the discrepancy, ``(B,)``, of each of B resamples, given the kernels within both sets and between them."""
    within = [_within(kernel, *drawn) for drawn, kernel in zip((real, fake), kernels[:2], strict=True)]
    between = ((real[0] @ kernels[2]) * fake[0]).sum(1) / (real[0].sum(1) * fake[0].sum(1))
    return within[0] + within[1] - 2 * between


def _within(kernel: Tensor, often: Tensor, alike: Tensor) -> Tensor:
    """Return the mean kernel over the pairs of a set, ``(B,)``.

    An image is not paired with its own copies, nor with variants from other copies of its design: a pair within a
    design counts once per copy of the design, a pair across designs once per pair of copies.

    Args:
        kernel: The kernel, ``(N, N)``, 0 on the diagonal.
        often: How often each image was drawn, ``(B, N)``.
        alike: 1 for images of the same design, ``(N, N)``.
    """
    total = ((often @ (kernel * (1 - alike))) * often).sum(1) + often @ (kernel * alike).sum(1)
    pairs = often.sum(1) ** 2 - ((often @ alike) * often).sum(1) + often @ (alike.sum(1) - 1)
    return total / pairs


def _redrawn(features: Tensor, designs: Sequence[str], seed: int) -> Iterator[Tensor]:
    """Yield resampled sets of ``(N, D)`` features."""
    return (features.repeat_interleave(n.long(), 0) for n in counts(designs, FRECHET_RESAMPLES, seed))
