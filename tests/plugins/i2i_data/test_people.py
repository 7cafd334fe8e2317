"""The emoji of each group."""

from __future__ import annotations

from i2i_data.people import GROUPS, design_of, name_of


def test_name_of() -> None:
    assert name_of("1f575-1f3fd-200d-2640-fe0f") == name_of("1F575-1F3FD-200D-2640") == "1F575-1F3FD-200D-2640"


def test_design_of_drops_every_tone() -> None:
    for tone in ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"):
        assert design_of(f"1F469-{tone}-200D-1F692") == "1F469-200D-1F692"


def test_no_design_is_in_two_groups_or_twice_in_one() -> None:
    designs = [design for group in GROUPS.values() for design in group.designs]
    assert len(designs) == len(set(designs)) == 31 + 32 + 4 + 3


def test_woman_and_man_have_the_same_role_at_each_position() -> None:
    counterparts = {"1F478": "1F934", "1F9D5": "1F472"}
    for woman, man in zip(GROUPS["woman"].distinct, GROUPS["man"].distinct, strict=True):
        assert counterparts.get(woman, woman.replace("1F469", "1F468").replace("2640", "2642")) == man
