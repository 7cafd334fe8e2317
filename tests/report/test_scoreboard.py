from __future__ import annotations

import pytest

from i2i.report.record import read_record
from i2i.report.scoreboard import Board, Mark, boards, score_rows
from tests.report.conftest import score, write_lines


def test_the_last_evaluation_beside_the_base_model_s(finished):
    lpips, l1 = boards(read_record(finished))
    assert (lpips.metric, lpips.way, lpips.measured) == ("lpips", "lower is better", "AlexNet; held-out pairs")
    woman, kid, everyone = lpips.marks
    assert (woman.name, kid.name, everyone.name) == ("woman", "kid", "all groups")
    assert (woman.value, woman.low, woman.high, woman.n) == pytest.approx((0.38, 0.28, 0.48, 6))
    assert (woman.floor, woman.ceiling, woman.before) == pytest.approx((0.05, 0.9, 0.56))
    assert (everyone.floor, everyone.ceiling) == (None, None)
    assert [mark.name for mark in l1.marks] == ["woman"]
    assert (l1.way, l1.measured) == ("", "")
    assert l1.notes == {"kid": "n too small for l1: 1 of 2"}


def test_scores_without_anything_beside_them(folder):
    write_lines(folder, {"stage": "base", "step": 1, "scores": {"woman": {"l1": score(0.5)}}})
    (board,) = boards(read_record(folder))
    assert board == Board("l1", "", [Mark("woman", 0.5, 0.4, 0.6, 6)], "", {})


def test_no_evaluation_no_board(folder):
    assert boards(read_record(folder)) == []


def test_marks_lie_between_margins():
    board = Board("x", "", [Mark("a", 2.0, 1.0, 3.0, 5, floor=0.0, ceiling=4.0)], "", {})
    assert [board.place(value) for value in (0.0, 2.0, 4.0)] == [4.0, 50.0, 96.0]
    assert Board("x", "", [Mark("a", 2.0, 2.0, 2.0, 1)], "", {}).place(2.0) == 4.0


def test_rows_are_flat(finished):
    rows = score_rows(read_record(finished))
    first = rows[0]
    assert (first["stage"], first["step"], first["group"], first["metric"]) == ("base", 10, "woman", "lpips")
    assert (first["floor"], first["floor_low"], first["ceiling"]) == pytest.approx((0.05, -0.05, 0.9))
    where = {"stage": "base", "step": 10, "group": "kid", "metric": "l1"}
    assert rows[3] == {**where, "value": None, "note": "n too small for l1: 1 of 2"}
    assert [row["group"] for row in rows[:5]] == ["woman", "woman", "kid", "kid", "all groups"]
