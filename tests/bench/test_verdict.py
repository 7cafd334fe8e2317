from __future__ import annotations

import pytest

from i2i.bench import statistics
from i2i.bench.statistics import Result
from i2i.bench.verdict import verdict
from i2i.contracts.scores import Judgement

VALUES = {"none": (0.9, 0.92, 0.905), "joint": (0.5, 0.45, 0.52), "branch": (0.1, 0.11, 0.105)}
"""The distances of three contenders with three seeds: branch surely wins."""


def results(values: dict[str, tuple[float, ...]]) -> list[Result]:
    judged = {name: [Judgement(value, value, value, 4) for value in by_seed] for name, by_seed in values.items()}
    return [
        Result("unit", name, seed, 5, True, {}, {group: {"l1": one} for group in ("woman", "kid")})
        for name, by_seed in judged.items()
        for seed, one in enumerate(by_seed)
    ]


def judge(values: dict[str, tuple[float, ...]], reference: str = "branch"):
    scored = results(values)
    return verdict("unit", scored, statistics.tests(scored, reference))


def test_a_reference_that_surely_wins():
    found = judge(VALUES)
    assert found.heads == ["", "all groups", "woman", "kid"]
    assert found.rows == [["l1", *["branch: sure against 2 of 2"] * 3]]
    first, second = found.sentences
    assert first == "Over all groups, branch is best by l1."
    assert "(6 times), branch is surely better 6 times and surely worse 0 times; 0 may be chance." in second


def test_another_contender_that_surely_wins():
    found = judge(VALUES, "joint")
    assert found.rows == [["l1", *["branch: sure against joint"] * 3]]
    assert "joint is surely better 3 times and surely worse 3 times" in found.sentences[1]


@pytest.mark.parametrize("reference", ["none", "joint"])
def test_a_winner_by_chance_is_called_that(reference):
    found = judge({"none": (0.5, 0.6, 0.4), "joint": (0.45, 0.7, 0.3)}, reference)
    assert found.rows == [["l1", *["joint: may be chance"] * 3]]
    assert "; 3 may be chance." in found.sentences[1]


def test_equals_share_the_win():
    found = judge({"none": (0.5, 0.6, 0.4), "joint": (0.5, 0.6, 0.4)}, "none")
    assert found.rows[0][1] == "none, joint: may be chance"
    assert found.sentences[0] == "Over all groups, none and joint are best by l1."


def test_one_seed_shows_nothing_of_chance():
    found = judge({"none": (0.5,), "branch": (0.4,)})
    assert found.rows == [["l1", "branch", "branch", "branch"]]
    assert "One seed" in found.sentences[1]
