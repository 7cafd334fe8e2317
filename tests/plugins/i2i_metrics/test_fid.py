"""FID as a metric; `test_references` compares its values with those of other libraries."""

from __future__ import annotations

import pytest

from i2i import PretrainedNetworks
from i2i.contracts.metric import Score
from i2i.errors import WeightsError
from i2i.testing import MetricTests
from i2i_metrics.distances import Frechet
from i2i_metrics.fid import FID
from tests.wording import refused

from .conftest import Colours, built, case


@pytest.fixture
def asked(monkeypatch):
    """Let every network be one that sees colours; return the names that were asked for."""
    names = []
    monkeypatch.setattr(
        PretrainedNetworks, "features", lambda self, name, weights, device: names.append(name) or Colours()
    )
    return names


class TestConformance(MetricTests):
    """What it does with features, whatever sees them: 50 images would keep Inception busy for 15 s."""

    metric = FID

    @pytest.fixture
    def built(self, asked):
        return built(FID)


def test_it_sees_with_fids_inception_alone(asked):
    assert built(FID).network == "mean colours"
    built(FID, clean=True)
    assert asked == ["inception", "inception:clean"]


def test_it_is_the_frechet_distance_of_that_network(asked, noise):
    judged = case(noise(5, 3, 32, 32), real=noise(4, 3, 32, 32, seed=1))
    desired = built(Frechet).score(judged)
    assert built(FID).score(judged) == desired
    assert desired.low <= desired.value <= desired.high


def test_the_same_images_have_none(asked, noise):
    score = built(FID).score(case(noise(4, 3, 32, 32)))
    assert isinstance(score, Score)
    assert score.value == pytest.approx(0, abs=1e-9)


def test_what_it_asks_for():
    assert (FID.name, FID.higher_is_better, FID.paired, FID.by_default) == ("fid", False, False, False)
    assert (FID.fewest, FID.fewest_real) == (2, 2)
    assert FID.Config.model_fields.keys() == {"clean", "weights"}


@pytest.mark.parametrize("clean", [False, True])
def test_missing_weights_tell_the_remedy(monkeypatch, tmp_path, clean):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with refused(WeightsError, "inception", "i2i weights download inception-pytorch-fid"):
        built(FID, clean=clean)
