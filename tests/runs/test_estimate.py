"""The cost of a run, from a few steps of each stage."""

from __future__ import annotations

import pytest

from i2i.runs.estimate import estimate
from i2i.runs.run import create_run
from i2i.runs.setup import check_setup


def cost(given, registry):
    return estimate(*check_setup(given, registry), registry)


def test_both_stages_are_measured(registry, tiny):
    actual = cost({**tiny, "steps": 1000, "transfer_steps": 100}, registry)
    base, transfer = actual.stages
    assert (base.name, base.steps, base.samples) == ("base", 1000, 2)
    assert (transfer.name, transfer.steps, transfer.samples) == ("transfer", 100, 6)
    assert transfer.size.total > base.size.total > 0
    assert actual.seconds == pytest.approx(1000 * base.step_seconds + 100 * transfer.step_seconds)
    assert actual.memory is not None
    assert 0 < actual.memory < actual.available


def test_a_stage_without_steps_costs_nothing(registry, tiny):
    assert [stage.name for stage in cost({**tiny, "transfer": {"name": "none"}}, registry).stages] == ["base"]


def test_a_transfer_from_scratch_takes_the_steps_of_both_stages(registry, tiny):
    _, transfer = cost({**tiny, "steps": 5, "transfer_steps": 4, "transfer": {"name": "mixed"}}, registry).stages
    assert transfer.steps == 9


def test_a_transfer_starts_from_the_model_that_is_named(registry, tiny, tmp_path):
    run = create_run(tmp_path / "base", {**tiny, "stages": ["base"]}, registry)
    run.execute()
    given = {**tiny, "stages": ["transfer"], "base_model": str(tmp_path / "base" / "base.safetensors")}
    (only,) = cost(given, registry).stages
    assert (only.name, only.steps) == ("transfer", 2)
