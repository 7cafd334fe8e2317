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
    loader_of(RunConfig(flip=flip), SimpleNamespace(mirrored=mirrored, cropped=True))
    assert seen == [flipped]


@pytest.mark.parametrize(("cropped", "margin", "expected"), [
    (True, None, 286 / 256), (False, None, 1), (False, 1.5, 1.5), (True, 1, 1),
])  # fmt: skip
def test_the_data_set_decides_on_crops_unless_the_user_does(monkeypatch, cropped, margin, expected):
    seen = []
    monkeypatch.setattr("i2i.runs.stages.Loader", lambda *_, margin, **__: seen.append(margin))
    loader_of(RunConfig(crop_margin=margin), SimpleNamespace(mirrored=True, cropped=cropped))
    assert seen == [expected]
