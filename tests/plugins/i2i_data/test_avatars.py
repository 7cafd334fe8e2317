"""The embedded data set of drawn people."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.config.options import validate
from i2i.contracts.domains import DOMAINS
from i2i.errors import ConfigError, DataError
from i2i_data import avatars as module
from i2i_data.avatar_people import GROUPS, attributes_of
from i2i_data.avatars import Avatars

FEW = {"man": (2, 1), "elderly": (2, 1), "punk": (2, 1)}


def avatars(**options: Any) -> Avatars:
    return Avatars(Avatars.Config(**{"render": 16, "people": 3, "held_out": 2, "shots": FEW} | options))


def everybody(data: Avatars) -> list[str]:
    """Return the designs of all people in training and test."""
    groups = [(group, domain) for group in data.groups for domain in DOMAINS]
    paths = [path for group, domain in groups for path in (*data.train(group, domain), *data.test(group, domain))]
    return [data.design(path) for path in paths]


def test_default_counts_match_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Avatars, "_png", lambda self, group, domain, person: Path(domain) / f"{group}-{person}.png")
    data = Avatars(Avatars.Config())
    assert data.groups == ("woman", "man", "elderly", "punk")
    counts = {g: (len(data.train(g, "a")), len(data.train(g, "b")), len(data.test(g, "b"))) for g in data.groups}
    assert counts == {"woman": (400, 400, 200), "man": (75, 15, 200), "elderly": (50, 10, 200), "punk": (50, 10, 200)}
    assert len(set(everybody(data))) == len(everybody(data)) == 800 + 90 + 60 + 60 + 8 * 200


@pytest.mark.parametrize(("most", "notes"), [(6, 1), (7, 0)])
def test_drawing_many_people_is_noted_once(monkeypatch, caplog, cache, most, notes) -> None:
    monkeypatch.setattr(module, "MANY", most)
    data = avatars(seed=most, held_out=6)  # whom no other test draws
    assert everybody(data)
    assert everybody(data)
    assert [str(cache) in record.message for record in caplog.records] == [True] * notes


def test_another_base_has_all_people_and_woman_its_shots() -> None:
    data = avatars(base="punk", shots={"woman": (1, 2)})
    assert data.groups == ("punk", "woman", "man", "elderly")
    assert [len(data.train("punk", domain)) for domain in DOMAINS] == [3, 3]
    assert [len(data.train("woman", domain)) for domain in DOMAINS] == [1, 2]


def test_the_seed_determines_the_people() -> None:
    assert everybody(avatars(seed=1)) == everybody(avatars(seed=1))
    assert set(everybody(avatars(seed=1))).isdisjoint(everybody(avatars(seed=2, held_out=1)))


def test_more_training_people_do_not_change_the_held_out_ones() -> None:
    few, many = avatars(), avatars(people=6)
    assert few.test("woman", "a") == many.test("woman", "a")
    assert set(few.train("woman", "a")) < set(many.train("woman", "a"))


def test_there_are_no_pairs() -> None:
    assert avatars().pairs("man") is None


def test_drawings_are_sorted_square_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = avatars().train("woman", "a")
    assert paths == sorted(paths)
    with Image.open(paths[0]) as image:
        assert (image.mode, image.size) == ("RGB", (16, 16))
    monkeypatch.setattr(module, "draw", None)
    assert avatars().train("woman", "a") == paths


def test_the_path_in_the_cache_has_versions_side_recipe_and_domain(cache: Path) -> None:
    path = avatars().test("man", "b")[0].relative_to(cache / "i2i" / "avatars")
    assert re.fullmatch(r"10\.7\.0-10\.6\.0-16px-[0-9a-f]{8}/b/man-\d{10}\.png", str(path))


@pytest.mark.parametrize(("name", "value"), [("BOXES", dict.fromkeys("ab", (0.1, 0.1, 0.8))), ("VERSION", 99)])
def test_old_drawings_are_not_served(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    before = avatars().test("man", "b")[0]
    monkeypatch.setattr(module, name, value)
    assert avatars().test("man", "b")[0] != before


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_option_is_known_to_the_style(group: str, domain: Any) -> None:
    """DiceBear draws a random variant in place of an unknown one."""
    looks, definition = GROUPS[group][domain], module._style(module.STYLES[domain])
    components = definition.components()
    assert set(components) - {"head"} <= set(looks.parts)
    for part, variants in looks.parts.items():
        assert set(variants) - {None} <= set(components[part].variants()), part
    assert {colour.removesuffix("Color") for colour in looks.options(0) if colour.endswith("Color")} <= set(
        definition.colors()
    )


def test_a_person_is_drawn_as_chosen() -> None:
    looks = GROUPS["elderly"]["b"]
    person = looks.people - 1
    assert looks.options(person) == {
        "headVariant": ["noHair3"], "headProbability": 100,
        "accessoriesVariant": ["glasses5"], "accessoriesProbability": 100,
        "facialHairProbability": 0, "maskProbability": 0,
        "expressionVariant": ["veryAngry"], "expressionProbability": 100,
        "headContrastColor": ["#e8e1e1"], "skinColor": ["#694d3d"], "clothingColor": ["#8fa7df"],
    }  # fmt: skip
    assert attributes_of("elderly", "b", person) == {"skin": "dark", "hair": "grey", "glasses": "yes", "beard": "no"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_people_of_different_numbers_are_different_drawings(domain: Any) -> None:
    """A choice that a style does not show would give two people one drawing, perhaps in training and test."""
    for looks in (styles[domain] for styles in GROUPS.values()):
        drawn = [tuple(looks.chosen(person).items()) for person in range(0, looks.people, max(1, looks.people // 500))]
        assert len(set(drawn)) == len(drawn)
    looks = GROUPS["punk"]["b"]
    pixels = [module.draw("b", looks.options(person), 64).tobytes() for person in range(0, looks.people, 7)]
    assert len(set(pixels)) == len(pixels)


def test_domains_share_attributes_and_groups_differ_in_them() -> None:
    data = avatars(people=40, held_out=40, shots={group: (40, 40) for group in FEW})
    values = {
        group: [{tuple(data.attributes(path).items()) for path in data.test(group, domain)} for domain in DOMAINS]
        for group in data.groups
    }
    for group, (a, b) in values.items():
        assert a & b, group
        assert {name for person in a for name, _ in person} == {"skin", "hair", "glasses", "beard"}
    assert {dict(person)["hair"] for person in values["punk"][1]} == {"teal", "green", "pink", "violet", "red"}
    assert {dict(person)["skin"] for person in values["woman"][0]} == {"light", "tan", "brown", "dark"}
    glasses = {group: {dict(person)["glasses"] for person in a | b} for group, (a, b) in values.items()}
    assert glasses == {"woman": {"no"}, "man": {"no", "yes"}, "elderly": {"yes"}, "punk": {"no", "yes"}}
    beards = {group: {dict(person)["beard"] for person in a | b} for group, (a, b) in values.items()}
    assert beards == {"woman": {"no"}, "man": {"yes"}, "elderly": {"no"}, "punk": {"no"}}


def test_avatars_are_trained_without_flips() -> None:
    assert not Avatars.mirrored


def test_more_people_than_a_style_can_draw_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"can draw 672 different people of the group 'woman' in domain b, not 802\."):
        avatars(people=800)


def test_unknown_groups_name_the_nearest() -> None:
    with pytest.raises(DataError, match=r"--data\.base.*no group 'punks'\. Did you mean 'punk'\?"):
        avatars(base="punks")
    for read in (avatars().train, avatars().test):
        with pytest.raises(DataError, match=r"no group 'kid'.*woman, man, elderly, punk"):
            read("kid", "a")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shots": {"kid": [1, 1]}}, "no group 'kid', only woman, man, elderly, punk"),
        ({"held_out": 0}, "'held_out' cannot be 0"),
        ({"render": 8}, "'render' cannot be 8"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        validate(Avatars.Config, options, "data")


@pytest.mark.parametrize(
    ("package", "distribution"),
    [("dicebear", "dicebear-core"), ("dicebear_styles", "dicebear-styles"), ("resvg_py", "resvg-py")],
)
def test_a_package_is_missing(monkeypatch: pytest.MonkeyPatch, package: str, distribution: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(DataError, match=rf"needs the extra 'avatars': pip install 'i2i\[avatars\]' .*'{distribution}'"):
        avatars()


def test_building_it_imports_neither_torch_nor_the_art() -> None:
    code = (
        "import sys; from i2i_data.avatars import Avatars; Avatars(Avatars.Config());"
        "sys.exit(bool({'torch', 'dicebear', 'resvg_py'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
