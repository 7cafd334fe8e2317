"""The reference tensors, for tests that compare with the original code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("I2I_SHARED", Path(__file__).parents[2] / "shared"))


def golden(name: str) -> Path:
    """Return a file of ``../shared/reference/golden``; skip the test where ``reference`` is missing."""
    return _reference("golden", name)


def published_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Return parameter name to shape of ``../shared/reference/keys``; skip the test where ``reference`` is missing."""
    lines = _reference("keys", name).read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {key: tuple(int(n) for n in shape.strip("()").split(",") if n.strip()) for key, shape, _ in rows}


def _reference(kind: str, name: str) -> Path:
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    path = folder / kind / name
    assert path.exists(), f"{folder} exists, but {path} is missing"
    return path
