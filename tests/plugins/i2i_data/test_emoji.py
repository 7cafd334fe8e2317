"""The embedded data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from i2i.config.options import validate
from i2i.contracts.domains import DOMAINS
from i2i.errors import ConfigError, DataError
from i2i_data.emoji import Emoji
from i2i_data.people import GROUPS, TONES, design_of
from tests.wording import refused

ALL = {group: (999, 999) for group in GROUPS}


def emoji(**options: Any) -> Emoji:
    return Emoji(Emoji.Config(render=16, **options))


def stems(paths: Any) -> list[str]:
    return [path.stem for path in paths]


@pytest.fixture(scope="module")
def whole(session_cache: Path) -> Emoji:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        return emoji(shots=ALL)


@pytest.mark.parametrize(("group", "count"), [("woman", 186), ("man", 192), ("kid", 24), ("elderly", 18)])
def test_counts(whole: Emoji, group: str, count: int) -> None:
    for domain in DOMAINS:
        names = stems(whole.train(group, domain)) + stems(whole.test(group, domain))
        assert len(set(names)) == len(names) == count
        assert {design_of(name) for name in names} == set(GROUPS[group].designs)


def test_groups_and_base() -> None:
    assert emoji().groups == ("woman", "man", "kid", "elderly")
    assert emoji(base="kid").groups == ("kid", "woman", "man", "elderly")
    assert emoji(base="kid").base == "kid"


@pytest.mark.parametrize("seed", range(5))
def test_no_test_design_is_trained_on_in_any_tone(seed: int) -> None:
    data = emoji(shots=ALL, seed=seed)
    for group in data.groups:
        seen = {design_of(name) for domain in DOMAINS for name in stems(data.train(group, domain))}
        held_out = {design_of(name) for domain in DOMAINS for name in stems(data.test(group, domain))}
        assert held_out
        assert not seen & held_out
        assert stems(data.test(group, "a")) == stems(data.test(group, "b"))
        assert not any(tone in design for design in seen | held_out for tone in TONES)


@pytest.mark.parametrize("seed", range(5))
def test_no_test_picture_is_trained_on_by_another_name(seed: int) -> None:
    data = Emoji(Emoji.Config(render=32, shots=ALL, seed=seed))
    for domain in DOMAINS:
        seen = {path.read_bytes() for group in data.groups for path in data.train(group, domain)}
        assert not [p for group in data.groups for p in data.test(group, domain) if p.read_bytes() in seen]


def test_woman_and_man_lose_the_same_roles(whole: Emoji) -> None:
    lost = {group: whole._held_out(group) for group in ("woman", "man")}
    positions = {group: {GROUPS[group].distinct.index(design) for design in lost[group]} for group in lost}
    assert positions["woman"] == positions["man"]


@pytest.mark.parametrize(
    ("group", "source", "target", "test"),
    [("woman", 150, 150, 36), ("man", 75, 15, 36), ("kid", 18, 10, 6), ("elderly", 12, 10, 6)],
)
def test_default_shots(group: str, source: int, target: int, test: int) -> None:
    data = emoji()
    assert [len(data.train(group, "a")), len(data.train(group, "b"))] == [source, target]
    assert [len(data.test(group, "a")), len(data.test(group, "b"))] == [test, test]


def test_shots_of_one_group_do_not_change_the_others() -> None:
    data = emoji(shots={"kid": (3, 2)})
    assert [len(data.train("kid", "a")), len(data.train("kid", "b"))] == [3, 2]
    assert len(data.train("man", "b")) == 15


def test_the_base_has_everything_and_woman_has_no_shots() -> None:
    data = emoji(base="man")
    assert len(data.train("man", "b")) == 192 - 36
    assert len(data.train("woman", "b")) == 186 - 36


def test_shots_are_drawn_independently_in_the_domains() -> None:
    data = emoji(shots={"man": (20, 20)})
    source, target = stems(data.train("man", "a")), stems(data.train("man", "b"))
    assert source != target
    assert source == sorted(source)


def test_more_shots_include_the_fewer() -> None:
    few, more = (set(stems(emoji(shots={"man": (n, n)}).train("man", "a"))) for n in (10, 30))
    assert few < more


def test_the_seed_determines_the_split_and_the_shots() -> None:
    first, again, other = (emoji(seed=seed) for seed in (1, 1, 2))
    for data, same in ((again, True), (other, False)):
        assert (stems(data.train("man", "b")) == stems(first.train("man", "b"))) is same
        assert (stems(data.test("man", "b")) == stems(first.test("man", "b"))) is same


def test_the_split_is_the_same_on_every_machine() -> None:
    assert emoji()._held_out("kid") == {"1F467"}
    assert stems(emoji(shots={"elderly": (2, 1)}).train("elderly", "b")) == ["1F474"]


@pytest.mark.parametrize(("fraction", "designs"), [(0.001, 1), (0.5, 13), (0.999, 25)])
def test_test_fraction_leaves_something_on_both_sides(fraction: float, designs: int) -> None:
    assert len(emoji(test_fraction=fraction)._held_out("man")) == designs


def test_pairs_show_the_same_person() -> None:
    data = emoji()
    pairs = data.pairs("man")
    assert [a for a, _ in pairs] == data.test("man", "a")
    assert all(a.name == b.name and (a.parent.name, b.parent.name) == ("a", "b") for a, b in pairs)


def test_an_unknown_base_names_the_nearest() -> None:
    with refused(DataError, "--data.base", "women", "woman"):
        emoji(base="women")


def test_an_unknown_group_names_the_nearest() -> None:
    for read in (emoji().train, emoji().test):
        with refused(DataError, "eldery", "elderly"):
            read("eldery", "a")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"shots": {"kids": [1, 1]}}, ("kids", "woman", "man", "kid", "elderly")),
        ({"shots": {"kid": [0, 1]}}, ("shots.kid.0", 0)),
        ({"test_fraction": 1.0}, ("test_fraction", 1)),
        ({"render": 8}, ("render", 8)),
        ({"size": 64}, ("size",)),
    ],
)
def test_wrong_options(options: dict[str, Any], named: str) -> None:
    with refused(ConfigError, *named):
        validate(Emoji.Config, options, "data")


def test_options_survive_a_file() -> None:
    config = Emoji.Config(shots={"kid": (3, 2)})
    assert Emoji.Config(**config.model_dump(mode="json")) == config
