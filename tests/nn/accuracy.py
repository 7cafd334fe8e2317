"""How far results in single precision are from exact ones."""

from __future__ import annotations

from torch import Tensor


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return the root mean square error, relative to that of the expected values."""
    exact = expected.double()
    return ((actual.double() - exact).square().mean() / exact.square().mean()).sqrt().item()
