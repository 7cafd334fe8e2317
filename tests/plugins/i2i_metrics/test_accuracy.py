from __future__ import annotations

import pytest
import torch

from i2i_metrics.accuracy import GroupAccuracy
from tests.wording import check

from .conftest import built, case, images


def coloured(red, green, blue, count=1):
    """Return even images with a little noise, the same for all."""
    noise = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    return torch.tensor([red, green, blue]).reshape(1, 3, 1, 1) * 0.8 + noise


RED, GREEN, BLUE = (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0)


@pytest.fixture
def metric(colours):
    return built(GroupAccuracy)


@pytest.fixture
def drawings():
    """Return many red women and few green men."""
    return {
        "woman": images(coloured(*RED, 20), [f"w{i}" for i in range(20)]),
        "man": images(coloured(*GREEN, 3), ["hat", "cap", "cap"]),
    }


def test_translations_are_taken_for_the_group_that_they_resemble(metric, drawings):
    fakes = torch.cat([coloured(*GREEN, 2), coloured(*RED, 2)])
    assert metric.score(case(fakes, drawings=drawings)).value == 0.5
    assert metric.score(case(fakes, drawings=drawings, group="woman")).value == 0.5
    assert metric.score(case(fakes[:2], drawings=drawings)).value == 1.0


def test_a_translation_by_another_group_s_branch_has_lower_accuracy(metric, drawings):
    as_man, as_woman = coloured(*GREEN, 4), coloured(*RED, 4)
    own, wrong = (metric.score(case(fake, drawings=drawings)).value for fake in (as_man, as_woman))
    assert (own, wrong) == (1.0, 0.0)


def test_drawings_of_the_own_design_are_left_out(metric):
    """A blue man is known by the one blue drawing that there is, of the same hat; without it he is a purple woman."""
    drawings = {
        "woman": images(coloured(1.0, -1.0, 0.2, 2), ["a", "b"]),
        "man": images(torch.cat([coloured(*GREEN), coloured(*BLUE)]), ["cap", "hat"]),
    }
    assert metric.score(case(coloured(*BLUE), drawings=drawings, names=["other"])).value == 1.0
    assert metric.score(case(coloured(*BLUE), drawings=drawings, names=["hat"])).value == 0.0


def test_a_group_of_one_design_is_not_left_without_drawings(metric, drawings):
    only = {**drawings, "man": images(coloured(*GREEN, 2), ["cap", "cap"])}
    assert metric.score(case(coloured(*GREEN), drawings=only, names=["cap"])).value == 1.0


def test_one_group_alone_cannot_be_told_apart(metric, drawings):
    alone = case(coloured(*GREEN), drawings={"man": drawings["man"], "kid": images(torch.empty(0, 3, 8, 8))})
    check(metric.obstacle(alone), "groups")
    assert metric.obstacle(case(coloured(*GREEN), drawings=drawings)) == ""
