from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reference() -> Callable[[str], Path]:
    """Find a file of the published projects' facts; skip the test where they are not at hand."""
    root = Path(os.environ.get("I2I_SHARED", REPOSITORY.parent / "shared")) / "reference"

    def find(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"{root / name} is missing; set I2I_SHARED to the folder that holds reference/")
        return root / name

    return find


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
