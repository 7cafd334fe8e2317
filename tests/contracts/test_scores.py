from __future__ import annotations

import json
from dataclasses import fields

import pytest
from pydantic import TypeAdapter

from i2i.contracts.metric import Score
from i2i.contracts.scores import Judgement, StoredScores, overall, plain
from tests.wording import check


def judged(value, low, high, n, **about):
    return Judgement(value, low, high, n, "AlexNet", "to 224", "held-out pairs", **about)


WOMAN = judged(0.2, 0.1, 0.5, 40, real_drawings=Score(0.1, 0.1, 0.1, 40), untranslated=Score(0.6, 0.2, 0.9, 40))
MAN = judged(0.4, 0.0, 0.8, 30, real_drawings=Score(0.3, 0.3, 0.3, 30), untranslated=Score(0.8, 0.5, 1.3, 30))
NOTE = Judgement(note="n too small for kernel: 1 of 2")


class TestPlain:
    def test_holds_every_field_and_none_where_there_is_nothing(self):
        told = plain({"woman": {"lpips": WOMAN}, "man": {"lpips": NOTE}})
        assert told["woman"]["lpips"] == {
            "value": 0.2, "low": 0.1, "high": 0.5, "n": 40, "network": "AlexNet", "resize": "to 224",
            "split": "held-out pairs", "higher_is_better": False,
            "real_drawings": {"value": 0.1, "low": 0.1, "high": 0.1, "n": 40},
            "untranslated": {"value": 0.6, "low": 0.2, "high": 0.9, "n": 40},
            "note": None,
        }  # fmt: skip
        assert told["man"]["lpips"]["note"] == NOTE.note
        assert told["man"]["lpips"]["value"] is told["man"]["lpips"]["network"] is None
        assert [field.name for field in fields(Judgement)] == list(told["man"]["lpips"])

    def test_is_json_and_comes_back(self):
        told = plain({"woman": {"lpips": WOMAN}})
        assert json.loads(json.dumps(told, allow_nan=False)) == told


class TestBeats:
    def test_follows_the_direction_of_the_metric(self):
        assert WOMAN.beats(0.3)
        assert not WOMAN.beats(0.2)
        assert judged(0.2, 0, 1, 3, higher_is_better=True).beats(0.1)
        assert not judged(0.2, 0, 1, 3, higher_is_better=True).beats(0.3)

    def test_any_value_beats_none_and_none_beats_nothing(self):
        assert WOMAN.beats(None)
        assert not NOTE.beats(None)
        assert not NOTE.beats(0.5)


class TestOverall:
    def test_counts_each_group_alike_and_adds_distances_in_squares(self):
        mean = overall({"woman": {"lpips": WOMAN}, "man": {"lpips": MAN}})["lpips"]
        assert (mean.value, mean.n) == (pytest.approx(0.3), 70)
        assert mean.low == pytest.approx(0.3 - (0.01 + 0.16) ** 0.5 / 2)
        assert mean.high == pytest.approx(0.3 + (0.09 + 0.16) ** 0.5 / 2)
        assert (mean.network, mean.resize, mean.split, mean.note) == ("AlexNet", "to 224", "held-out pairs", "")

    def test_has_the_mean_of_real_drawings_and_untranslated(self):
        mean = overall({"woman": {"lpips": WOMAN}, "man": {"lpips": MAN}})["lpips"]
        assert mean.real_drawings == Score(pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2), 70)
        assert mean.untranslated == Score(
            pytest.approx(0.7), pytest.approx(0.45), pytest.approx(0.7 + 0.34**0.5 / 2), 70
        )

    def test_has_no_mean_of_real_drawings_where_a_group_has_none(self):
        bare = judged(0.4, 0.0, 0.8, 30)
        mean = overall({"woman": {"lpips": WOMAN}, "man": {"lpips": bare}})["lpips"]
        assert mean.real_drawings is mean.untranslated is None

    def test_names_groups_without_a_score_and_those_without_an_interval(self):
        kid = judged(0.6, 0.6, 0.6, 6)
        scores = {"woman": {"lpips": WOMAN}, "man": {"lpips": NOTE}, "kid": {"lpips": kid}}
        mean = overall(scores)["lpips"]
        assert mean.value == mean.low == mean.high == pytest.approx(0.4)
        check(mean.note, "man", "kid")

    def test_takes_the_groups_that_are_asked_for(self):
        scores = {"woman": {"lpips": WOMAN}, "man": {"lpips": MAN}, "kid": {"lpips": NOTE}}
        assert overall(scores, ("woman", "elderly"))["lpips"].value == 0.2
        assert overall(scores, ("kid",)) == {}
        assert overall({}) == {}


def test_scores_are_read_back_as_they_were_written():
    scores = {
        "man": {"l1": Judgement(0.5, 0.25, 0.75, 3, "AlexNet", "", "pairs", True, Score(0.1, 0.1, 0.1, 3), None, "")},
        "kid": {"l1": Judgement(note="n too small")},
    }
    text = json.dumps(plain(scores))
    again = TypeAdapter(StoredScores).validate_python(json.loads(text))
    assert again == scores
    assert json.dumps(plain(again)) == text


def test_keys_of_older_files_are_translated():
    stored = plain({"woman": {"l1": WOMAN}})
    content = stored["woman"]["l1"]
    content["floor"], content["ceiling"] = content.pop("real_drawings"), content.pop("untranslated")
    assert TypeAdapter(StoredScores).validate_python(stored) == {"woman": {"l1": WOMAN}}
