"""The published step that `benchmarks/speed.py` compares with ours does the same mathematics."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.plugins.i2i_transfer.routing import precise
from tests.sampling import sampled


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import speed

    yield speed
    for name in ("speed", "turns", "published", "published_step"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("backbone", sampled("unit", "ugatit", "cyclegan", "photo2cartoon"))
def test_the_published_step_has_the_losses_of_ours(speed, backbone):
    import published_step

    ours, published = (_silent(precise(speed.build_training(_case(speed, backbone), 1))) for _ in range(2))
    published = published_step.PublishedStep(published)
    for _ in range(2):
        assert published.step() == pytest.approx(ours.step(), rel=1e-9)


def test_the_table_is_of_the_rounds_at_hand(speed):
    page = speed.PAGE.read_text(encoding="utf-8")
    assert speed.with_table(page, speed.rounds_kept()) == page


def _case(speed, backbone):
    return speed.Case(backbone, 32, 8, batch=2)


def _silent(training):
    """Turn off UNIT's noise, which the two draw in different order."""
    for generator in training.backbone.generators.values():
        if "noise" in type(generator.config).model_fields:
            generator.config = generator.config.model_copy(update={"noise": 0.0})
    return training
