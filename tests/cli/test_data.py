from __future__ import annotations

import json

from tests.wording import check, mentions


def test_list(i2i) -> None:
    result = i2i("data", "list")
    assert result.status == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in rows[1:4]] == ["avatars", "emoji", "folder"]
    assert rows[1][-2:] == ["i2i", "0.1.0"]


def test_check_counts_by_group(i2i, folder_root) -> None:
    result = i2i("data", "check", folder_root)
    assert (result.status, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["woman", "(base)", "8", "8", "2", "2", "0"],
        ["kid", "2", "1", "2", "2", "0"],
        ["man", "3", "2", "2", "2", "0"],
    ]


def test_check_counts_before_it_complains(i2i, own_root) -> None:
    (own_root / "kid" / "testB" / "1.png").write_bytes(b"")
    result = i2i("data", "check", own_root)
    assert result.status == 2
    assert len(result.out.splitlines()) == 4
    check(result.err, "error", f"{own_root}/kid/testB/1.png", "0 bytes")


def test_check_of_one_group(i2i, folder_root) -> None:
    result = i2i("data", "check", folder_root / "man")
    assert (result.status, result.out.splitlines()[1].split()[:2]) == (0, ["all", "(base)"])


def test_check_of_an_unknown_data_set(refused) -> None:
    mentions(refused("data", "check", "emojy"), "emojy", "emoji")


def test_data_sets_as_json(i2i) -> None:
    sets = {one["name"]: one for one in json.loads(i2i("data", "list", "--json").out)}
    assert "OpenMoji" in sets["emoji"]["description"]
