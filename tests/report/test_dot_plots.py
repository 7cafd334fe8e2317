from __future__ import annotations

import pytest

from i2i.report.dot_plots import Dot, DotPlot, dot_plots, score_rows
from i2i.report.record import read_record
from tests.report.conftest import score, write_lines


def test_the_last_evaluation_beside_the_base_model_s(finished):
    lpips, l1 = dot_plots(read_record(finished))
    assert (lpips.metric, lpips.way, lpips.measured) == ("lpips", "lower is better", "AlexNet; held-out pairs")
    woman, kid, everyone = lpips.dots
    assert (woman.name, kid.name, everyone.name) == ("woman", "kid", "overall")
    assert (woman.value, woman.low, woman.high, woman.n) == pytest.approx((0.38, 0.28, 0.48, 6))
    assert (woman.real_drawings, woman.untranslated, woman.before) == pytest.approx((0.05, 0.9, 0.56))
    assert (everyone.value, everyone.before) == pytest.approx((0.43, 0.61))
    assert (everyone.n, everyone.real_drawings, everyone.untranslated) == (12, None, None)
    assert [dot.name for dot in l1.dots] == ["woman"]
    assert (l1.way, l1.measured) == ("", "")
    assert l1.notes == {"kid": "n too small for l1: 1 of 2"}


def test_scores_without_anything_beside_them(folder):
    write_lines(folder, {"stage": "base", "step": 1, "scores": {"woman": {"l1": score(0.5)}}})
    (plot,) = dot_plots(read_record(folder))
    assert plot == DotPlot("l1", "", [Dot("woman", 0.5, 0.4, 0.6, 6)], "", {})


def test_a_mean_over_some_groups_alone_is_left_out(folder):
    scores = {"woman": {"l1": score(0.5)}, "kid": {"l1": score(0.7)}}
    write_lines(folder, {"stage": "base", "step": 1, "scores": scores, "overall": {"l1": score(0.5)}})
    (plot,) = dot_plots(read_record(folder))
    assert [dot.name for dot in plot.dots] == ["woman", "kid"]


def test_the_base_model_s_mean_is_of_the_groups_that_are_scored_now(folder):
    base, now = {"woman": score(0.5), "kid": score(0.7), "man": score(0.9)}, {"woman": score(0.4), "kid": score(0.4)}
    mean = {**score(0.4), "n": 12}
    write_lines(
        folder,
        {"stage": "base", "step": 1, "scores": {group: {"l1": one} for group, one in base.items()}},
        {"stage": "transfer", "step": 1, "scores": {g: {"l1": one} for g, one in now.items()}, "overall": {"l1": mean}},
    )
    (plot,) = dot_plots(read_record(folder))
    assert [dot.before for dot in plot.dots] == pytest.approx([0.5, 0.7, 0.6])


def test_no_evaluation_no_plot(folder):
    assert dot_plots(read_record(folder)) == []


def test_dots_lie_between_margins():
    plot = DotPlot("x", "", [Dot("a", 2.0, 1.0, 3.0, 5, real_drawings=0.0, untranslated=4.0)], "", {})
    assert [plot.place(value) for value in (0.0, 2.0, 4.0)] == [4.0, 50.0, 96.0]
    assert DotPlot("x", "", [Dot("a", 2.0, 2.0, 2.0, 1)], "", {}).place(2.0) == 4.0


def test_rows_are_flat(finished):
    rows = score_rows(read_record(finished))
    first = rows[0]
    assert (first["stage"], first["step"], first["group"], first["metric"]) == ("base", 10, "woman", "lpips")
    assert (first["real_drawings"], first["real_drawings_low"], first["untranslated"]) == pytest.approx(
        (0.05, -0.05, 0.9)
    )
    where = {"stage": "base", "step": 10, "group": "kid", "metric": "l1"}
    known = {name: value for name, value in rows[3].items() if value}
    assert known == {**where, "note": "n too small for l1: 1 of 2"}
    assert (rows[3]["value"], rows[3]["higher_is_better"]) == (None, None)
    assert [row["group"] for row in rows[:5]] == ["woman", "woman", "kid", "kid", "overall"]
