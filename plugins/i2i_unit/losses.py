"""UNIT's terms within a domain and on latents (Liu et al. 2017, arXiv 1703.00848, section 3), as in its release.

The encoders' normal distributions have unit variance, so an element's divergence from N(0, 1) is half of its squared
mean; the release leaves the factor of a half to the weight.
"""

from __future__ import annotations

from einops import reduce
from torch import Tensor

from i2i import DOMAINS, OTHER_DOMAIN, Loss, Passes, Translation


class Divergence(Loss):
    """Mean square of the real images' latents: twice an element's divergence from N(0, 1) (the paper's VAE loss)."""

    name = "kl"
    needs = frozenset({"fake", "latent"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the mean square, ``(N,)``."""
        return _mean_square(passes.fake["a"]) + _mean_square(passes.fake["b"])


class CycleDivergence(Loss):
    """Mean square of the latents of the re-encoded fakes (the paper's cycle-consistency loss)."""

    name = "cycle_kl"
    needs = frozenset({"fake", "cycled", "latent"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the mean square, ``(N,)``."""
        return _mean_square(passes.cycled["a"]) + _mean_square(passes.cycled["b"])


class Reconstruction(Loss):
    """Mean absolute error of images encoded and decoded within their domain (the paper's VAE loss, Laplacian)."""

    name = "reconstruction"
    needs = frozenset({"reconstructed"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the difference, ``(N,)``."""
        real, reconstructed = passes.batch.real, passes.reconstructed
        return _distance(reconstructed["a"], real["a"]) + _distance(reconstructed["b"], real["b"])


class Latent(Loss):
    """Mean absolute difference between the latents of an image and of its re-encoded fake.

    The latent reconstruction of Huang et al. 2018 (MUNIT, arXiv 1804.04732); UNIT's release has an unused weight.
    """

    name = "latent"
    needs = frozenset({"fake", "cycled", "latent"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the change, ``(N,)``."""
        # A real image of a becomes a fake in b, which becomes the cycled image in a.
        there = {domain: _latent(passes.fake[OTHER_DOMAIN[domain]]) for domain in DOMAINS}
        back = {domain: _latent(passes.cycled[domain]) for domain in DOMAINS}
        return _distance(back["a"], there["a"]) + _distance(back["b"], there["b"])


def _mean_square(translation: Translation) -> Tensor:
    return reduce(_latent(translation).square(), "n ... -> n", "mean")


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return reduce((x - y).abs(), "n ... -> n", "mean")


def _latent(translation: Translation) -> Tensor:
    if translation.latent is None:
        raise TypeError("The generator returned no latent.")
    return translation.latent
