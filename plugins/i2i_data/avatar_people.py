"""The looks of each group's people in both styles, and the attributes that both styles can show.

A person is a number whose mixed-radix digits select the variant of every part. So a file's name fully describes the
person in it, and different numbers give different drawings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i2i import Domain

Value = str | None
"""A variant of a part, or a colour as ``#rrggbb``; None leaves the part out."""


@dataclass(frozen=True)
class Looks:
    """The looks of a group's people in one style.

    Attributes:
        parts: The variants of each part of the drawing.
        colours: The colours of each part.
    """

    parts: Mapping[str, Sequence[Value]]
    colours: Mapping[str, Sequence[str]]

    @property
    def people(self) -> int:
        """The number of different people."""
        return math.prod(len(choices) for _, choices in self._choices())

    def chosen(self, person: int) -> dict[str, Value]:
        """Return the variant of each part and the colour of each ``<part>Color`` of the person with this number."""
        values = {}
        for name, choices in self._choices():
            person, digit = divmod(person, len(choices))
            values[name] = choices[digit]
        return values

    def options(self, person: int) -> dict[str, Any]:
        """Return the person's options for DiceBear."""
        chosen = self.chosen(person)
        colours: dict[str, Any] = {f"{name}Color": [chosen[f"{name}Color"]] for name in self.colours}
        shown = {name: chosen[name] for name in self.parts}
        variants = {f"{name}Variant": [value] for name, value in shown.items() if value is not None}
        return colours | variants | {f"{name}Probability": 100 * (value is not None) for name, value in shown.items()}

    def _choices(self) -> Iterator[tuple[str, Sequence[Value]]]:
        yield from self.parts.items()
        yield from ((f"{name}Color", colours) for name, colours in self.colours.items())


def numbered(prefix: str, numbers: Sequence[int]) -> list[str]:
    """Return DiceBear's names for numbered variants, ``long01`` and so on."""
    return [f"{prefix}{number:02}" for number in numbers]


NOTHING: tuple[Value, ...] = (None,)
SKINS: dict[Domain, tuple[str, ...]] = {
    "a": ("#f2d3b1", "#ecad80", "#9e5622", "#763900"),
    "b": ("#ffdbb4", "#edb98a", "#ae5d29", "#694d3d"),
}
TONES = ("light", "tan", "brown", "dark")
"""Names of the skin tones of both styles, in the order of `SKINS`."""
GREY = {"a": "#afafaf", "b": "#e8e1e1"}
BRIGHT = {"#85c2c6": "teal", "#3eac2c": "green", "#dba3be": "pink", "#592454": "violet", "#ab2a18": "red"}
NATURAL = ("#0e0e0e", "#e5d7a3", "#b9a05f", "#796a45", "#6a4e35", "#562306", "#ac6511", "#cb6820")
BROWN = "#4a312c"

LONG = numbered("long", [n for n in range(1, 27) if n not in (3, 8, 18)])  # those three have flowers
SHORT = numbered("short", [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14, 17, 18])
THIN = ["short13"]
PUNK = numbered("short", [12, 15, 16])
GLASSES = numbered("variant", range(2, 6))  # variant01 is sunglasses
SOMETIMES: dict[Domain, tuple[Value, ...]] = {"a": (None, "variant02"), "b": (None, "glasses3")}
"""Half of these people wear black glasses, so that glasses do not give the group away."""


def _adventurer(
    hair: Sequence[str], colours: Sequence[str], glasses: Sequence[Value] = NOTHING, details: Sequence[Value] = NOTHING
) -> Looks:
    faces = {"eyes": range(1, 27), "mouth": range(1, 31), "eyebrows": range(1, 16)}
    return Looks(
        {
            "hair": hair,
            "glasses": glasses,
            "details": details,
            "earrings": NOTHING,
            **{part: numbered("variant", numbers) for part, numbers in faces.items()},
        },
        {"hair": colours, "skin": SKINS["a"]},
    )


# All have dots or lines for eyes: at 64 px, teeth and large eyes turn into stripes.
EXPRESSIONS = (
    "smile", "cheeky", "blank", "driven", "suspicious", "tired", "solemn", "calm", "contempt", "cute", "serious",
    "veryAngry",
)  # fmt: skip
WOMEN = (
    "bangs", "bangs2", "bun2", "long", "longAfro", "longBangs", "longCurly", "medium1", "medium2",
    "medium3", "mediumBangs", "mediumBangs2", "mediumBangs3", "mediumStraight",
)  # fmt: skip
MEN = ("short1", "short2", "short3", "short4", "short5", "pomp", "flatTop", "shaved1", "shaved2", "shaved3")
BEARDS = ("moustache2", "moustache3", "moustache5", "moustache6", "full", "full2", "full3", "full4")


def _open_peeps(
    head: Sequence[str], contrast: Sequence[str], glasses: Sequence[Value] = NOTHING, beard: Sequence[Value] = NOTHING
) -> Looks:
    """Fix what cannot be inferred from the source: all clothes have the same colour, and nobody wears a mask."""
    return Looks(
        {"head": head, "accessories": glasses, "facialHair": beard, "mask": NOTHING, "expression": EXPRESSIONS},
        {"headContrast": contrast, "skin": SKINS["b"], "clothing": ("#8fa7df",)},
    )


GROUPS: dict[str, dict[Domain, Looks]] = {
    "woman": {"a": _adventurer(LONG, NATURAL), "b": _open_peeps(WOMEN, (BROWN,))},
    "man": {
        "a": _adventurer(SHORT, NATURAL, SOMETIMES["a"], details=("mustache",)),
        "b": _open_peeps(MEN, (BROWN,), SOMETIMES["b"], beard=BEARDS),
    },
    "elderly": {
        "a": _adventurer([*LONG, *SHORT, *THIN], (GREY["a"],), glasses=GLASSES),
        "b": _open_peeps(
            ("grayBun", "grayMedium", "grayShort", "noHair3"),
            (GREY["b"],),
            glasses=("glasses", "glasses2", "glasses3", "glasses4", "glasses5"),
        ),
    },
    "punk": {
        "a": _adventurer(PUNK, tuple(BRIGHT), SOMETIMES["a"]),
        "b": _open_peeps(("mohawk", "mohawk2"), tuple(BRIGHT), SOMETIMES["b"]),
    },
}
"""The looks of each group in Adventurer (domain a) and Open Peeps (domain b)."""


def attributes_of(group: str, domain: Domain, person: int) -> dict[str, str]:
    """Return the attributes of a person that both styles can show: skin tone, hair colour, glasses and beard."""
    chosen = GROUPS[group][domain].chosen(person)
    beard, glasses = {"a": ("details", "glasses"), "b": ("facialHair", "accessories")}[domain]
    colour = chosen[{"a": "hairColor", "b": "headContrastColor"}[domain]]
    return {
        "skin": TONES[SKINS[domain].index(str(chosen["skinColor"]))],
        "hair": "grey" if colour == GREY[domain] else BRIGHT.get(str(colour), "natural"),
        "glasses": "yes" if chosen[glasses] else "no",
        "beard": "yes" if chosen[beard] else "no",
    }
