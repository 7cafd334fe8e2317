from __future__ import annotations

import os
import socket

import pytest

from i2i.errors import ConfigError, DataError
from i2i.storage.files import inside, make_folder, oddity, refuse_existing, whole_file
from tests.wording import refused


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "é" * 125 + ".txt"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    with whole_file(tmp_path / name) as temporary:
        temporary.touch()
    assert (tmp_path / name).is_file()


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


@pytest.fixture(params=["pipe", "socket", "device", "link"])
def special(request, tmp_path):
    """Something in the file system that is no regular file, by each of its names."""
    path = tmp_path / request.param
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as open_:
            open_.bind(str(path))
    elif request.param == "link":
        path.symlink_to("/dev/null")
    else:
        path = type(path)("/dev/null")
    return path


@pytest.mark.parametrize("below", ["", "below/deep"])
def test_what_is_no_folder_is_named_by_its_kind(special, below):
    with refused(DataError, special, "not a folder", "--out"):
        make_folder(special / below)
    with refused(DataError, special, "not a folder", "Choose another place."), whole_file(special / below / "file"):
        pass


def test_a_link_to_nothing_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to("nothing")
    with refused(DataError, tmp_path / "link", "a link to nothing"):
        make_folder(tmp_path / "link")
    assert os.listdir(tmp_path) == ["link"]


def test_only_regular_files_are_read_or_replaced(special):
    before = special.lstat()
    assert "not a regular file" in oddity(special)
    with refused(ConfigError, special):
        refuse_existing([special], True)
    with refused(DataError, special), whole_file(special) as temporary:
        temporary.write_text("never")
    assert special.lstat() == before


def test_a_link_counts_as_what_it_points_at(tmp_path):
    (tmp_path / "target").write_text("older")
    for link, target in (("link", "target"), ("dangling", "nothing"), ("folder", ".")):
        (tmp_path / link).symlink_to(target)
    for link in ("link", "dangling"):
        with refused(ConfigError, tmp_path / link, "--overwrite"):
            refuse_existing([tmp_path / link], False)
        with whole_file(tmp_path / link) as temporary:
            temporary.write_text("newer")
        assert (tmp_path / link).read_text() == "newer"
    with refused(ConfigError, tmp_path / "folder"):
        refuse_existing([tmp_path / "folder"], True)
    assert (tmp_path / "target").read_text() == "older"  # the link was replaced, and nothing elsewhere was written


@pytest.mark.parametrize("name", ["a.png", "below/a.png", "...", "a..b", "-", "~", "below/../a"])
def test_a_name_that_stays_in_its_folder(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/a", "below/../../a", "below/..", "away/a", "a\0b"])
def test_a_name_that_leads_out_of_its_folder(tmp_path, name):
    (tmp_path / "away").symlink_to(tmp_path.parent)
    with refused(DataError, tmp_path, repr(name)):
        inside(tmp_path, name)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "long").write_bytes(bytes(11))
    assert oddity(tmp_path) == "is a folder"
    assert "11" in oddity(tmp_path / "long", limit=10)
    assert not oddity(tmp_path / "long", limit=11)
    for path in (tmp_path / "loop", tmp_path / "missing", tmp_path / ("a" * 5000), tmp_path / "a\0b"):
        assert oddity(path).startswith("cannot be read (")
