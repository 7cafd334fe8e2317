"""An adapted model with the training of its second stage, of any transfer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from i2i.training.step import Training
from tests.plugins.i2i_transfer.routing import training_of


@pytest.fixture
def prepare(tmp_path: Path, registry) -> Callable[..., Training]:
    """Call it as ``prepare(name, groups, backbone, precision, **options)``; it gives the training, not yet begun."""
    return partial(training_of, tmp_path, registry)
