from __future__ import annotations

import pytest
from scipy import stats

from i2i.bench import statistics, tables
from i2i.bench.statistics import OVERALL, Result, course, mean, means
from i2i.bench.tables import markdown
from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement
from tests.wording import check_line

WOMAN, MAN = "woman", "man"


def score(value, **more):
    return Judgement(value, value, value, 4, **more)


def result(contender, seed, woman, man, final=True, **more):
    scores = {WOMAN: {"l1": score(woman, **more)}, MAN: {"l1": score(man, **more)}}
    return Result("ugatit", contender, seed, 10, final, {WOMAN: 30, MAN: 6}, scores)


@pytest.fixture
def results():
    ours = [(0.40, 0.30), (0.42, 0.28), (0.41, 0.31)]
    theirs = [(0.40, 0.50), (0.41, 0.55), (0.43, 0.52)]
    return [
        *(result("branch", seed, *own) for seed, own in enumerate(ours)),
        *(result("joint", seed, *own) for seed, own in enumerate(theirs)),
    ]


def test_the_mean_has_students_interval():
    actual = mean([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (actual.value, actual.low, actual.high, actual.seeds) == (
        pytest.approx(7 / 3),
        *map(pytest.approx, (low, high)),
        3,
    )
    assert str(mean([0.5, 0.5])) == "0.500"


def test_one_seed_has_no_interval():
    assert (mean([1.0]).low, mean([1.0]).high, str(mean([1.0]))) == (None, None, "1.000")


def test_overall_is_the_mean_over_groups_and_lacks_nothing(results):
    assert results[0].value(OVERALL, "l1") == pytest.approx(0.35)
    lacking = Result(
        "ugatit", "branch", 0, 10, True, {}, {WOMAN: {"l1": score(0.4)}, MAN: {"l1": Judgement(note="n too small")}}
    )
    assert lacking.value(OVERALL, "l1") is None
    assert means([lacking], MAN, "l1") == {}


def test_only_finished_models_count(results):
    unfinished = result("branch", 3, 9.0, 9.0, final=False)
    assert means([*results, unfinished], MAN, "l1") == means(results, MAN, "l1")


def test_the_course_has_the_steps_at_which_all_seeds_have_a_score():
    def at(step, seed, value, seen):
        return Result("ugatit", "branch", seed, step, step == 20, {MAN: seen}, {MAN: {"l1": score(value)}})

    found = [at(20, 0, 0.2, 42), at(10, 0, 0.4, 20), at(10, 1, 0.6, 24), at(15, 1, 0.9, 30), at(20, 1, 0.3, 44)]
    points = course([*found, result("joint", 0, 9.0, 9.0)], "branch", MAN, "l1")
    assert [(point.seen, sorted(point.values)) for point in points] == [(22, [0.4, 0.6]), (43, [0.2, 0.3])]
    assert points[1].value == pytest.approx(0.25)
    assert course(found, "joint", MAN, "l1") == []


def test_paired_tests_are_those_of_scipy(results):
    found = {test.group: test for test in statistics.tests(results, "branch")}
    expected = stats.ttest_rel([0.30, 0.28, 0.31], [0.50, 0.55, 0.52])
    interval = expected.confidence_interval(0.95)
    assert found[MAN].p == pytest.approx(expected.pvalue)
    assert (found[MAN].difference.low, found[MAN].difference.high) == pytest.approx(tuple(interval))
    assert (found[MAN].better, found[WOMAN].better) == ("branch", "branch")
    assert statistics.tests(results, "joint")[1].better == "branch"


def test_p_is_adjusted_by_holm_for_the_others_in_one_group(results):
    ahead = {"mixed": (0.0, 0.02, -0.01), "none": (0.1, 0.2, 0.1)}
    more = [result(name, seed, 0.4, 0.3 + gap) for name, gaps in ahead.items() for seed, gap in enumerate(gaps)]
    found = [test for test in statistics.tests([*results, *more], "branch") if test.group == MAN]
    first, second, third = sorted(found, key=lambda test: test.p)
    assert first.adjusted == pytest.approx(3 * first.p)
    assert second.adjusted == pytest.approx(max(first.adjusted, 2 * second.p))
    assert third.adjusted == pytest.approx(max(second.adjusted, third.p))


def test_where_all_seeds_agree_to_the_bit_there_is_no_p():
    same = [result(name, seed, 0.5, 0.5) for name in ("branch", "none") for seed in (0, 1)]
    test = statistics.tests(same, "branch")[0]
    assert (test.p, test.adjusted, test.better, test.difference.value) == (None, None, "neither", 0)


def test_one_seed_cannot_be_tested(results):
    assert statistics.tests([results[0], results[3]], "branch") == []
    check_line(markdown([results[0], results[3]], "branch"), "two seeds")


def test_the_table_marks_the_best_of_each_column_and_shows_real_drawings_and_untranslated():
    marks = {"real_drawings": Score(0.0, 0.0, 0.0, 4), "untranslated": Score(0.9, 0.9, 0.9, 4)}
    own = [result("none", 0, 0.2, 0.8, **marks), result("branch", 0, 0.4, 0.6, **marks)]
    lines = markdown(own, "branch").splitlines()
    assert "| none | **0.200** | 0.800 | **0.500** |" in lines
    assert "| branch | 0.400 | **0.600** | **0.500** |" in lines
    assert "| *real drawings* | 0.000 | 0.000 | 0.000 |" in lines
    assert "| *untranslated* | 0.900 | 0.900 | 0.900 |" in lines
    assert "| branch | 10 | 30 | 6 |" in lines


def test_the_best_of_a_metric_that_rises_is_the_highest():
    own = [result(name, 0, value, value, higher_is_better=True) for name, value in (("none", 0.1), ("branch", 0.9))]
    assert "| branch | **0.900** | **0.900** | **0.900** |" in markdown(own, "branch")


def test_every_score_is_a_line_for_other_programs(results):
    lines = tables.comma_separated(results[:1]).splitlines()
    assert lines[0].startswith("backbone,contender,seed,step,final,group,seen,metric,value,low,high,n")
    assert lines[2].startswith("ugatit,branch,0,10,True,man,6,l1,0.3,0.3,0.3,4")
    assert len(lines) == 3
