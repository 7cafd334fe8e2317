from __future__ import annotations

import pytest

from i2i.evaluation.symptoms import SYMPTOMS
from i2i.report.findings import FEWEST, OVERFITTING, findings, looked_for
from i2i.report.record import read_record
from i2i.runs.listeners import overfitting as listener
from tests.report.conftest import write_lines
from tests.wording import check

TITLES = [symptom.title for symptom in SYMPTOMS]


def overfitting(figures, held_out=6, stage="transfer"):
    images = {group: {"test b": held_out} for group in figures}
    return (
        {"stage": stage, "step": 9, "overfitting": figures, "augmentation": {}},
        {"stage": stage, "step": 9, "symptoms": {}, "images": images},
    )


def test_a_symptom_names_the_groups_that_have_it(finished):
    found = findings(read_record(finished))
    assert [one.title for one in found] == ["Checkerboard"]  # the kids' overfitting is a matter of two drawings
    assert (found[0].groups, found[0].limit, found[0].when) == ({"woman": 0.9}, 0.7, "transfer, step 20")
    check(found[0].remedy, "--transfer-steps", "--generator.upsampling bilinear")
    assert looked_for(read_record(finished)) == [*TITLES, "Overfitting"]


def test_only_the_last_look_counts(folder):
    bad, good = {"woman": {"copying": 0.9}}, {"woman": {"copying": 0.1}}
    write_lines(
        folder, {"stage": "base", "step": 9, "symptoms": bad}, {"stage": "transfer", "step": 9, "symptoms": good}
    )
    assert findings(read_record(folder)) == []


@pytest.mark.parametrize(("stage", "steps"), [("base", "--steps"), ("transfer", "--transfer-steps")])
def test_overfitting_names_the_remedy(folder, stage, steps):
    write_lines(folder, *overfitting({"woman": 0.55, "kid": 0.9, "man": 0.5}, stage=stage))
    (found,) = findings(read_record(folder))
    assert list(found.groups.items()) == [("kid", 0.9), ("woman", 0.55)]
    check(found.remedy, "--augment ada", steps, "--loss.adversarial.r1 1")
    assert found.when == f"{stage}, step 9"


def test_overfitting_on_few_drawings_is_left_to_chance(folder):
    write_lines(folder, *overfitting({"kid": 0.9}, held_out=3))
    assert findings(read_record(folder)) == []
    write_lines(folder, overfitting({"kid": 0.9})[0])  # a stopped run has not counted them
    assert [one.title for one in findings(read_record(folder))] == ["Overfitting discriminator"]


def test_nothing_was_looked_for(folder):
    assert findings(read_record(folder)) == looked_for(read_record(folder)) == []


def test_the_page_and_the_terminal_agree_on_what_overfitting_is():
    assert (OVERFITTING, FEWEST) == (listener.RUNAWAY, listener.FEWEST)
