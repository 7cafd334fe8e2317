from __future__ import annotations

import pytest

from i2i.report.dot_plots import Dot, DotPlot, dot_plots
from i2i.report.findings import findings
from i2i.report.record import read_record
from i2i.report.verdict import verdict


def dot(
    name: str, value: float, before: float | None = None, real: float | None = 0.0, plain: float | None = 1.0
) -> Dot:
    return Dot(name, value, value, value, 5, real, 1.0, before)


def plot(*dots: Dot, metric: str = "lpips") -> DotPlot:
    return DotPlot(metric, "lower is better", dots, "", {})


@pytest.mark.parametrize(
    ("dots", "said"),
    [
        ([dot("woman", 0.25)], "translations are 75% of the way from the untranslated sources to real drawings;"),
        (
            [dot("woman", 0.2, 0.1), dot("kid", 0.6, 0.8), dot("overall", 0.4, 0.45)],
            "are 60% of the way from the untranslated sources to real drawings, from 40% for kid to 80% for woman, and "
            "better than the base model's for 1 of 2 groups;",
        ),
        ([dot("woman", 1.5)], "translations are no closer to real drawings than the untranslated sources;"),
        ([dot("woman", 0.5, real=None)], ": no scores that compare translations with real drawings;"),
        ([dot("woman", 0.5, real=1.0)], ": no scores that compare translations with real drawings;"),
        ([], ": no scores that compare translations with real drawings;"),
    ],
)
def test_how_close_translations_are_to_drawings(dots, said):
    sentence = verdict("finished", [plot(*dots)], [], looked=True)
    assert said in sentence
    assert sentence.startswith("Finished: ")
    assert sentence.endswith("; no warnings.")
    assert sentence.count(".") == 1


def test_the_most_telling_metric_decides():
    plots = [plot(dot("woman", 0.1), metric="ssim"), plot(dot("woman", 0.3), metric="l1")]
    assert "by l1, translations are 70%" in verdict("finished", plots, [], looked=True)
    assert "by ssim, translations are 90%" in verdict("finished", plots[:1], [], looked=True)


def test_a_run_that_is_not_finished_says_how_far_it_is():
    sentence = verdict("not finished: base, step 3 of 40", [], [], looked=False)
    assert sentence == ("Not finished (base, step 3 of 40): no scores that compare translations with real drawings.")


def test_warnings_are_counted(finished):
    record = read_record(finished)
    assert "; 1 warning." in verdict("finished", dot_plots(record), findings(record), looked=True)
