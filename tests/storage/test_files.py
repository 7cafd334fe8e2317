from __future__ import annotations

import pytest

from i2i.errors import ConfigError, DataError
from i2i.storage.files import refuse_existing, whole_file
from tests.wording import refused


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_keeps_the_older_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("older")
    with pytest.raises(UnicodeEncodeError), whole_file(path) as temporary:
        temporary.write_text("half \udc00", encoding="utf-8")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_is_replaced_only_when_asked_and_what_is_read_never(tmp_path):
    new, old, read, folder = (tmp_path / name for name in ("new", "old", "read", "folder"))
    old.touch()
    read.touch()
    folder.mkdir()
    refuse_existing([new, tmp_path / "no" / "folder" / "x"], False)
    refuse_existing([new, old], True, [read])
    for target, overwrite, options in (
        (old, False, ("--out", "--overwrite")),
        (folder, True, ("--out",)),
        (folder / ".." / "read", True, ("--out",)),
    ):
        with refused(ConfigError, target, *options):
            refuse_existing([target], overwrite, [read])


def test_a_full_or_forbidden_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        refused(DataError, "below.txt"),
        whole_file(tmp_path / "file" / "below.txt"),
    ):
        pass


def test_the_remedy_can_be_the_places_own(tmp_path):
    (tmp_path / "file").touch()
    with refused(DataError, "below.txt", "Call mum."), whole_file(tmp_path / "file" / "below.txt", "Call mum."):
        pass
