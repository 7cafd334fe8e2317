"""The emoji that show the head and shoulders of one person, by group.

An emoji is named by its code points in hexadecimal, joined by ``-``, without the variation selector FE0F:
``1F469-1F3FD-200D-1F692`` is a woman firefighter of medium skin tone. Its *design* is its name without the skin tone.
Couples, families, gestures, whole bodies and fantasy figures are left out, and so is white hair, which fits two groups.
"""

from __future__ import annotations

from dataclasses import dataclass

JOINER = "200D"
VARIATION = "FE0F"
TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})

# Farmer, cook, student, singer, artist, teacher, factory worker, technologist, office worker, mechanic, scientist,
# astronaut, firefighter, health worker, judge, pilot. The parent with a bottle (1F37C) shows two people.
PROFESSIONS = (
    "1F33E", "1F373", "1F393", "1F3A4", "1F3A8", "1F3EB", "1F3ED", "1F4BB",
    "1F4BC", "1F527", "1F52C", "1F680", "1F692", "2695", "2696", "2708",
)  # fmt: skip
# These come after a person.
RED, CURLY, BALD = "1F9B0", "1F9B1", "1F9B2"
# The sign of a woman or a man follows these: police, veil, turban, construction, guard, detective; then plain heads.
ROLES = ("1F46E", "1F470", "1F473", "1F477", "1F482", "1F575")
BLOND, TUXEDO, BEARD = "1F471", "1F935", "1F9D4"


@dataclass(frozen=True)
class Designs:
    """The designs of a group.

    Attributes:
        plain: The designs that are never held out: in some skin tone, each looks the same as another one (every woman
            with medium-light skin has blond hair; a tuxedo ends below the frame), so it would not test anything new.
        distinct: The designs that can be held out. Woman and man at the same position have the same role and are held
            out together, because an astronaut or a bald head can look the same in both groups.
    """

    plain: tuple[str, ...]
    distinct: tuple[str, ...]

    @property
    def designs(self) -> tuple[str, ...]:
        """All designs of the group."""
        return self.plain + self.distinct


def _adults(person: str, sign: str, more_plain: tuple[str, ...], more_distinct: tuple[str, ...]) -> Designs:
    followed = {character: f"{character}-{JOINER}-{sign}" for character in (BLOND, TUXEDO, BEARD, *ROLES)}
    following = {attribute: f"{person}-{JOINER}-{attribute}" for attribute in (RED, CURLY, BALD, *PROFESSIONS)}
    plain = (person, following[RED], *(followed[character] for character in (BLOND, TUXEDO, BEARD)))
    distinct = (*(following[a] for a in (CURLY, BALD, *PROFESSIONS)), *(followed[character] for character in ROLES))
    return Designs(plain + more_plain, distinct + more_distinct)


GROUPS: dict[str, Designs] = {
    "woman": _adults("1F469", "2640", (), ("1F478", "1F9D5")),  # princess, headscarf
    "man": _adults("1F468", "2642", ("1F9D4",), ("1F934", "1F472")),  # a beard without a sign; prince, skullcap
    "kid": Designs((), ("1F466", "1F467", "1F476", "1F9D2")),  # boy, girl, baby, child
    "elderly": Designs((), ("1F474", "1F475", "1F9D3")),  # man, woman, person
}


def name_of(stem: str) -> str:
    """Return the name of an emoji, given the stem of a file of either package.

    Example:
        >>> name_of("1f575-fe0f-200d-2640-fe0f")
        '1F575-200D-2640'
    """
    return "-".join(point for point in stem.upper().split("-") if point != VARIATION)


def design_of(name: str) -> str:
    """Return the name without skin tones; all tones of a design share it.

    Example:
        >>> design_of("1F469-1F3FD-200D-1F692")
        '1F469-200D-1F692'
    """
    return "-".join(point for point in name.split("-") if point not in TONES)
