from __future__ import annotations

import math

import pytest
import torch

from i2i import PretrainedNetworks
from i2i.errors import ConfigError
from i2i_metrics.structure import Structure

from .conftest import Colours, built, case


@pytest.fixture
def metric(colours):
    return built(Structure)


def test_a_network_without_maps_is_refused_before_anything_is_scored(monkeypatch):
    class Faces(Colours):
        def maps(self, x):
            raise ConfigError("It has no maps.")

    monkeypatch.setattr(PretrainedNetworks, "features", lambda *_: Faces())
    with pytest.raises(ConfigError, match="no maps"):
        built(Structure, network="dlib")


def quarters(*rows):
    """Return one image of four colours: places in reading order."""
    x = torch.tensor(rows, dtype=torch.float32).reshape(2, 2, 3).permute(2, 0, 1)
    return x.repeat_interleave(4, 1).repeat_interleave(4, 2)[None]


X, Y = (1, 0, 0), (0, 1, 0)


def test_it_is_the_difference_of_self_similarities(metric):
    """The source's places are alike (all cosines 1); of the fake's four, two pairs are at right angles to one another.

    Of 16 cosines 8 are 0 instead of 1: the root of their mean square is the root of one half.
    """
    score = metric.score(case(quarters(X, X, Y, Y), source=quarters(X, X, X, X)))
    assert score.value == pytest.approx(math.sqrt(0.5), abs=1e-6)


def test_other_colours_in_the_same_layout_are_the_same_structure(metric):
    score = metric.score(case(quarters(Y, Y, X, X), source=quarters(X, X, Y, Y)))
    assert score.value == pytest.approx(0, abs=1e-6)
