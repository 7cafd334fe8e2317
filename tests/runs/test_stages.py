"""Starting a stage."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from i2i.config.run import RunConfig
from i2i.runs.stages import loader_of


@pytest.mark.parametrize(("mirrored", "flip", "flipped"), [
    (True, None, True), (False, None, False), (False, True, True), (True, False, False),
])  # fmt: skip
def test_the_data_set_decides_on_flips_unless_the_user_does(monkeypatch, mirrored, flip, flipped):
    seen = []
    monkeypatch.setattr("i2i.runs.stages.Loader", lambda *_, flip, **__: seen.append(flip))
    loader_of(RunConfig(flip=flip), SimpleNamespace(mirrored=mirrored))
    assert seen == [flipped]
