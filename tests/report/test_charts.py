from __future__ import annotations

import pytest

from i2i.report.charts import Chart, Series, gauge_charts, loss_charts, score_charts, thinned
from i2i.report.record import read_record
from tests.report.conftest import score, write_lines


def curves(charts):
    return {chart.title: {one.name: (one.at, one.values) for one in chart.series} for chart in charts}


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ([2.0, 1.0, 0.0], "0,0 500,500 1000,1000"),
        ([-1.0, 0.0, 1.0], "0,1000 500,500 1000,0"),
        ([3.0, 3.0, 3.0], "0,0 500,0 1000,0"),
        ([0.0, 0.0, 0.0], "0,1000 500,1000 1000,1000"),
    ],
)
def test_a_curve_reaches_from_zero_or_its_lowest_value_to_its_highest(values, points):
    series = Series("x", [10, 20, 30], values)
    assert Chart("x", [series]).points(series) == points


def test_a_chart_of_scores_need_not_reach_down_to_zero():
    series = Series("x", [1, 2], [5.0, 4.0])
    assert Chart("x", [series], zero=False).points(series) == "0,0 1000,1000"


def test_a_single_value_is_a_dot_at_its_place_and_no_level_line():
    single = Series("x", [7], [3.0])
    chart = Chart("x", [single, Series("y", [5, 9], [6.0, 6.0])])
    assert chart.points(single) == "500,500 500,500"
    assert chart.has_curve
    assert not Chart("x", [single]).has_curve


def test_one_step_makes_no_chart(folder):
    losses = {"stage": "base", "step": 1, "losses": {"generator/cycle": 1.0}}
    write_lines(folder, losses, {"stage": "base", "step": 1, "overfitting": {"woman": 0.5}, "augmentation": {}})
    assert loss_charts(read_record(folder), "base") == gauge_charts(read_record(folder), "base") == []


def test_curves_of_a_chart_share_its_axes():
    long, short = Series("a", [0, 100], [0.0, 4.0]), Series("b", [50], [1.0])
    chart = Chart("x", [long, short, Series("c", [50, 100], [2.0, 3.0])])
    assert (chart.low, chart.high, chart.ends) == (0.0, 4.0, (0, 100))
    assert chart.points(chart.series[2]) == "500,500 1000,250"


def test_thinning_keeps_means_and_the_last_place():
    series = thinned(Series("x", [1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 9.0]), count=3)
    assert (series.at, series.values) == ([2, 4, 5], [1.5, 3.5, 9.0])


def test_what_the_script_reads_is_rounded():
    content = Chart("x", [Series("a", [1, 2], [0.123456, 20000.123])]).content()
    assert content["series"] == [{"name": "a", "at": [1, 2], "values": [0.1235, 20000.0]}]
    assert content["axis"] == "step"


def test_a_loss_has_a_chart_and_each_side_a_curve(finished):
    found = curves(loss_charts(read_record(finished), "transfer"))
    assert found.keys() == {"adversarial", "cycle"}
    assert found["adversarial"].keys() == {"generator", "discriminator"}
    assert found["cycle"] == {"generator": (list(range(1, 21)), [3.0] * 20)}
    assert found["adversarial"]["discriminator"][1][:2] == [1.0, 0.5]


def test_overfitting_has_a_chart_and_each_group_a_curve(finished):
    assert curves(gauge_charts(read_record(finished), "transfer")) == {
        "overfitting of discriminators": {"woman": ([10, 20], [0.1, 0.1]), "kid": ([10, 20], [0.7, 0.7])}
    }


def test_scores_have_a_chart_a_metric_and_leave_out_what_has_no_value(finished):
    found = curves(score_charts(read_record(finished), "transfer"))
    assert found["lpips"]["kid"] == ([10, 20], pytest.approx([0.49, 0.48]))
    assert found["l1"] == {"woman": ([10, 20], [0.5, 0.5])}


def test_a_group_that_is_scored_once_makes_no_curve(folder):
    both = {"woman": {"l1": score(0.5)}, "kid": {"l1": score(0.7)}}
    for count in (1, 2):
        lines = [{"stage": "base", "step": step, "scores": {"woman": both["woman"]}} for step in range(count)]
        write_lines(folder, *lines, {"stage": "base", "step": 9, "scores": both})
        assert list(curves(score_charts(read_record(folder), "base"))["l1"]) == ["woman"]


def test_one_evaluation_makes_no_curve(folder, lines):
    write_lines(folder, *lines("base", 10))
    assert score_charts(read_record(folder), "base") == []


@pytest.mark.parametrize("values", [[-1e20, -1e20], [1e308, 1e308, 1e308], [-1e308, 1e308], [1e-320, 0.0], [1e20, 1.0]])
@pytest.mark.parametrize("zero", [True, False])
def test_huge_values_are_drawn(folder, values, zero):
    write_lines(folder, *({"stage": "base", "step": n, "losses": {"x": v}} for n, v in enumerate(values, 1)))
    series = loss_charts(read_record(folder), "base")[0].series
    chart = Chart("x", series, zero=zero)
    heights = [float(point.partition(",")[2]) for point in chart.points(series[0]).split()]
    assert all(0 <= height <= 1000 for height in heights)
