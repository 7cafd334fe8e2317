"""Starting a stage."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from i2i.config.options import merge
from i2i.config.run import RunConfig
from i2i.runs import stages
from i2i.runs.run import create_run
from i2i.runs.stages import loader_of


@pytest.mark.parametrize(("mirrored", "flip", "flipped"), [
    (True, None, True), (False, None, False), (False, True, True), (True, False, False),
])  # fmt: skip
def test_the_data_set_decides_on_flips_unless_the_user_does(monkeypatch, mirrored, flip, flipped):
    seen = []
    monkeypatch.setattr("i2i.runs.stages.Loader", lambda *_, flip, **__: seen.append(flip))
    loader_of(RunConfig(flip=flip), SimpleNamespace(mirrored=mirrored))
    assert seen == [flipped]


@pytest.mark.parametrize(("own", "margins"), [({}, [1.5, 1.5]), ({"crop_margin": 1}, [1.5, 1])])
def test_a_transfer_can_have_a_crop_margin_of_its_own(tmp_path, tiny, registry, monkeypatch, own, margins):
    seen, loader = [], stages.Loader
    monkeypatch.setattr(stages, "Loader", lambda *given, margin, **more: seen.append(margin) or loader(*given, **more))
    options = {"steps": 1, "transfer_steps": 1, "crop_margin": 1.5, "backbone": {"name": "cyclegan"}}
    create_run(tmp_path / "run", merge(tiny, options, {"transfer": {"name": "branch", **own}}), registry).execute()
    assert seen == margins


def test_a_transfer_can_have_weights_of_its_own(tmp_path, tiny, registry, monkeypatch):
    seen, training = [], stages.Training

    def record(backbone, transfer, losses, *given, **more):
        seen.append({name: loss.config.weight for name, loss in losses.items()})
        return training(backbone, transfer, losses, *given, **more)

    monkeypatch.setattr(stages, "Training", record)
    options = {"steps": 1, "transfer_steps": 1, "backbone": {"name": "cyclegan"}, "loss": {"identity": 5}}
    transfer = {"transfer": {"name": "branch", "loss": {"cycle": 0, "identity": 2}}}
    create_run(tmp_path / "run", merge(tiny, options, transfer), registry).execute()
    assert seen == [{"adversarial": 1, "cycle": 10, "identity": 5}, {"adversarial": 1, "identity": 2}]
