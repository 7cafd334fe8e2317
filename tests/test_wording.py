"""Tests assert the values in a message; its wording is in one file, which is kept up to date with the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.errors import ConfigError, DataError
from tests.wording import SNAPSHOT, Snapshot, mentions, normal, read, refused, write

HERE = "test_wording.py::test_x"


def refuse() -> None:
    raise ConfigError("There is no group 'kids'. Did you mean 'kid'? Use --group.")


def test_every_message_belongs_to_a_test(snapshot: Snapshot) -> None:
    assert snapshot.update or not snapshot.stale(), "Remove them with --update-wording."


def test_the_snapshot_is_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "messages.toml", read(SNAPSHOT))
    assert (tmp_path / "messages.toml").read_text() == SNAPSHOT.read_text()


def test_a_refusal_is_recorded(snapshot: Snapshot) -> None:
    with refused(ConfigError, "kids", "kid", "--group"):
        refuse()
    assert snapshot.recorded == ["ConfigError: There is no group 'kids'. Did you mean 'kid'? Use --group."]


def test_another_error_class_is_a_failure() -> None:
    with pytest.raises(ConfigError), refused(DataError, "kids"):
        refuse()


def test_no_error_is_a_failure() -> None:
    with pytest.raises(pytest.fail.Exception), refused(ConfigError):
        pass


@pytest.mark.parametrize("lacking", ["woman", "ki", "'man'", "--grou"])
def test_a_value_that_the_message_lacks_is_a_failure(lacking: str) -> None:
    with pytest.raises(AssertionError, match=f"not in the message: {lacking}"), refused(ConfigError, "kid", lacking):
        refuse()


def test_a_part_of_a_number_is_not_a_value() -> None:
    mentions("needs 128 px, not 32", 128, 32)
    with pytest.raises(AssertionError, match="not in the message: 12, 2\n"):
        mentions("needs 128 px, not 32", 12, 2)


@pytest.mark.parametrize("known", [{}, {HERE: ["There was no group."]}])
def test_new_wording_is_a_failure_that_says_how_to_accept_it(known: dict[str, list[str]]) -> None:
    snapshot = Snapshot(known)
    snapshot.begin(HERE, {})
    with pytest.raises(pytest.fail.Exception, match='make test ARGS="--update-wording"'):
        snapshot.check("There is no group.")


def test_a_missing_message_is_a_failure() -> None:
    snapshot = Snapshot({HERE: ["One.", "Two."]})
    snapshot.begin(HERE, {})
    snapshot.check("One.")
    with pytest.raises(pytest.fail.Exception, match=r"missing: \['Two\.'\]"):
        snapshot.end()


def test_an_update_accepts_messages_of_passed_tests_and_drops_those_of_deleted_tests() -> None:
    gone, elsewhere, absent = "test_wording.py::test_gone", "test_api.py::test_y", "test_absent.py::test_z"
    snapshot = Snapshot({test: ["Old."] for test in (HERE, gone, elsewhere, absent)}, update=True)
    snapshot.collected = {HERE}
    snapshot.begin(HERE, {})
    snapshot.check("New.")
    snapshot.end()
    assert snapshot.stale() == {gone, absent}
    assert snapshot.updated() == {HERE: ["New."], elsewhere: ["Old."]}


def test_a_run_of_chosen_tests_drops_only_missing_files() -> None:
    gone, absent = "test_wording.py::test_gone", "test_absent.py::test_z"
    snapshot = Snapshot({gone: ["Old."], absent: ["Old."]})
    snapshot.collected, snapshot.whole = {HERE}, False
    assert snapshot.stale() == {absent}


def test_a_test_that_failed_keeps_its_messages() -> None:
    snapshot = Snapshot({HERE: ["One.", "Two."]}, update=True)
    snapshot.begin(HERE, {})
    snapshot.check("New.")
    assert snapshot.updated() == {HERE: ["One.", "Two."]}


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    messages = {HERE: [f'"{n}"\n\\' for n in range(11)], "cli/test_data.py::TestX::test_y[a 1]": ["é"]}
    write(tmp_path / "x.toml", messages)
    assert read(tmp_path / "x.toml") == messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{tmp}/x.png", "<tmp>/x.png"),
        ("{session}/images0/kid", "<session>/images/kid"),
        (f"{SNAPSHOT}", "<root>/tests/messages.toml"),
        (f"{Path.home()}/.cache", "<home>/.cache"),
        ("http://127.0.0.1:4711/net", "http://127.0.0.1:<port>/net"),
        ("<object at 0x7f00aa00>, process 12", "<object at <address>>, process <pid>"),
        ("made with i2i 0.1.0", "made with i2i <version>"),
    ],
)
def test_text_that_differs_between_machines_is_replaced(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, text: str, expected: str
) -> None:
    places = {str(tmp_path): "<tmp>", str(tmp_path_factory.getbasetemp()): "<session>"}
    assert normal(text.format(tmp=tmp_path, session=tmp_path_factory.getbasetemp()), places) == expected
