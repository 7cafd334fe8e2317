from __future__ import annotations

import pytest

from i2i.errors import DataError
from i2i.files import whole_file


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


def test_a_full_or_forbidden_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"below\.txt cannot be written .*Free some space"),
        whole_file(tmp_path / "file" / "below.txt"),
    ):
        pass
