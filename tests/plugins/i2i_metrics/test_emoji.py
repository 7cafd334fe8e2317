"""On real drawings: noise and drawings of other groups score worse than drawings of the group."""

from __future__ import annotations

import pytest
import torch

from i2i.contracts.metric import Case, Images
from i2i.evaluation.heldout import CHUNK, files
from i2i_data.emoji import Emoji
from i2i_metrics.accuracy import GroupAccuracy
from i2i_metrics.distances import Frechet, Kernel
from i2i_metrics.paired import L1, SSIM
from i2i_metrics.perceptual import LPIPS, Diversity
from i2i_metrics.structure import Structure

from .conftest import built, images

N, SIZE = 10, 64
EVERY = [L1, SSIM, LPIPS, Kernel, Frechet, GroupAccuracy, Diversity, Structure]


@pytest.fixture(scope="module")
def emoji(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("emoji")))
        yield Emoji(Emoji.Config(render=SIZE, shots={"man": [20, 20]}))


@pytest.fixture(scope="module")
def judged(emoji):
    """Return what men are judged by, and fakes that are other men's drawings, drawings of the elderly, and noise."""

    def held(paths):
        return files(list(paths), SIZE, emoji.design)

    pairs = emoji.pairs("man")[::3][:N]
    groups = {group: emoji.train(group, "b")[:30] for group in ("woman", "man", "elderly")}
    real, truth = held(emoji.test("man", "b")[1::3][:N]), held(target for _, target in pairs)
    sources = held(source for source, _ in pairs)
    noise = torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fakes = {
        "truth": truth,
        "men": held(groups["man"][:N]),
        "elderly": Images(held(groups["elderly"][:N]).chunks, truth.names),
        "noise": images(noise, list(truth.names), CHUNK),
    }
    drawings = {group: held(paths) for group, paths in groups.items()}
    return {name: Case("man", fake, sources, real, truth, drawings) for name, fake in fakes.items()}


@pytest.mark.parametrize("metric", [L1, SSIM, LPIPS, Kernel, GroupAccuracy])
def test_noise_and_a_wrong_group_are_worse_than_real_drawings(judged, metric):
    own = built(metric)
    real = own.score(judged["truth" if metric.paired else "men"]).value
    sign = 1 if metric.higher_is_better else -1
    for worse in ("elderly", "noise"):
        assert sign * own.score(judged[worse]).value < sign * real, worse


def test_a_frechet_distance_needs_more_drawings_to_tell_groups_apart(emoji, judged):
    """Of ten men it takes the elderly, who vary less, for nearer than other men; of 36 women it is right."""
    own = built(Frechet)
    assert own.score(judged["elderly"]).value < own.score(judged["men"]).value < own.score(judged["noise"]).value
    real, women, elderly = (
        files(list(paths), SIZE)
        for paths in (emoji.test("woman", "b"), emoji.train("woman", "b")[::4], emoji.train("elderly", "b"))
    )
    near, far = (own.score(Case("woman", fake, fake, real)).value for fake in (women, elderly))
    assert near < far


def test_the_structure_of_noise_is_another_and_that_of_the_source_its_own(judged):
    own = built(Structure)
    case = judged["noise"]
    truth, source, noise = (own.score(c).value for c in (judged["truth"], _as(case, case.source), case))
    assert source == pytest.approx(0, abs=1e-6)
    assert source < truth < noise


def test_one_drawing_for_all_is_less_diverse_than_real_ones(judged):
    own, case = built(Diversity), judged["men"]
    one = case.fake.whole()[:1].expand(N, -1, -1, -1)
    assert own.score(_as(case, images(one, chunk=CHUNK))).value < 0.01 < own.score(case).value


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_images_have_a_score_with_an_interval_where_the_metric_takes_so_few(judged, metric, n):
    case, own = judged["men"], built(metric)
    few = Case("man", *(_first(part, n) for part in (case.fake, case.source, case.real, case.truth)), case.drawings)
    if n < max(metric.fewest, metric.fewest_real):
        assert (n, metric.fewest) == (1, 2)  # evaluation says so in place of a score
        return
    score = own.score(few)
    assert score.low <= score.value <= score.high
    assert abs(score.low) + abs(score.high) < float("inf")
    assert score.n == n


def _as(case, fake):
    return Case(case.group, Images(fake.chunks, case.source.names), case.source, case.real, case.truth, case.drawings)


def _first(part, n):
    return images(part.whole()[:n], list(part.names[:n]), CHUNK)
