"""Where the reference tensors lie, for tests that compare with the originals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("I2I_SHARED", Path(__file__).parents[2] / "shared"))


def golden(name: str) -> Path:
    """Return a file of ``../shared/reference/golden``, or skip the test where it is missing."""
    path = SHARED / "reference" / "golden" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def published_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Return parameter name to shape of ``../shared/reference/keys``, or skip the test where it is missing."""
    path = SHARED / "reference" / "keys" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {key: tuple(int(n) for n in shape.strip("()").split(",") if n.strip()) for key, shape, _ in rows}
