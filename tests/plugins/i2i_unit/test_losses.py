"""UNIT's terms against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from i2i.contracts.domains import Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Loss, Passes
from i2i_unit.losses import CycleDivergence, Divergence, Latent, Reconstruction
from tests.wording import refused


def latents(*values: list[float]) -> Translation:
    """One latent of two values per sample."""
    return Translation(
        torch.zeros(len(values), 3, 1, 1), latent=torch.tensor(values, dtype=torch.float32).view(-1, 2, 1, 1)
    )


def images(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


@pytest.fixture
def passes() -> Passes:
    return Passes(
        Batch({"a": images(0.0, 1.0), "b": images(-1.0, 0.5)}, ("woman", "man")),
        fake={"b": latents([1, 3], [0, 2]), "a": latents([0, 0], [2, 2])},
        cycled={"a": latents([2, 3], [0, -2]), "b": latents([4, 0], [1, 1])},
        reconstructed={"a": images(0.25, 0.5), "b": images(-1.0, -0.5)},
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Divergence, [(1 + 9) / 2, (0 + 4) / 2 + (4 + 4) / 2]),
        (CycleDivergence, [(4 + 9) / 2 + (16 + 0) / 2, (0 + 4) / 2 + (1 + 1) / 2]),
        (Reconstruction, [0.25, 0.5 + 1.0]),
        (Latent, [(1 + 0) / 2 + (4 + 0) / 2, (0 + 4) / 2 + (1 + 1) / 2]),
    ],
)
def test_values(passes: Passes, loss: type[Loss], expected: list[float]) -> None:
    term = loss(loss.Config())
    torch.testing.assert_close(term.generator(passes), torch.tensor(expected))
    assert term.discriminator(passes) is None


@pytest.mark.parametrize("loss", [Divergence, CycleDivergence, Latent])
def test_a_missing_latent_is_named(passes: Passes, loss: type[Loss]) -> None:
    plain = {domain: Translation(torch.zeros(2, 3, 1, 1)) for domain in ("a", "b")}
    passes.fake = passes.cycled = plain
    with refused(TypeError, "generator", "latent"):
        loss(loss.Config()).generator(passes)


def test_names_and_needs() -> None:
    assert {loss.name: loss.needs for loss in (Divergence, CycleDivergence, Reconstruction, Latent)} == {
        "kl": {"fake", "latent"},
        "cycle_kl": {"fake", "cycled", "latent"},
        "reconstruction": {"reconstructed"},
        "latent": {"fake", "cycled", "latent"},
    }
