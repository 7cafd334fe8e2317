"""The second embedded data set: any number of people in four groups, drawn in two artists' styles."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from i2i import ConfigError, Dataset, cache_folder
from i2i_data.avatar_people import GROUPS, attributes_of
from i2i_data.groups import Shots, check_known, complete_shots, put_first, shots_of
from i2i_data.rasteriser import RASTERISER, Box, kept, locate, rasterise, recipe

if TYPE_CHECKING:
    from PIL import Image

    from i2i import Domain

SHOTS: Shots = {"man": (75, 15), "elderly": (50, 10), "punk": (50, 10)}
EXTRA = "avatars"
PACKAGES = (("dicebear-core", "dicebear"), ("dicebear-styles", "dicebear_styles"))
STYLES: dict[Domain, str] = {"a": "adventurer", "b": "open-peeps"}
BOXES: dict[Domain, Box] = {"a": (0.08, 0.04, 0.89), "b": (0.02, 0.08, 0.90)}
"""The part of each style's canvas to keep, so that heads have the same size."""
VERSION = 1
"""Raise this when `draw` changes, so that old drawings are not served from the cache."""
MANY = 100
"""Drawings that take long enough for a note."""

_LOGGER = logging.getLogger(__name__)


class Avatars(Dataset):
    """Adventurer (domain a) and Open Peeps (domain b): woman, man (bearded), elderly and punk, any number of people.

    All drawings of a domain are different, in training and held out alike; none has a true translation. Which people
    are drawn depends only on ``config.seed``, not on the state of any random generator.

    The art is by Lisa Wischofsky (Adventurer, CC BY 4.0) and Pablo Stanley (Open Peeps, CC0 1.0), as in DiceBear.

    Raises:
        DataError: A package of the extra ``avatars`` is missing, or ``config.base`` is not a group.
        ConfigError: A style cannot draw as many different people of a group as requested.
    """

    name: ClassVar[str] = "avatars"
    mirrored = False  # everybody faces right

    class Config(Dataset.Config):
        """Options of the drawn people."""

        people: int = Field(
            400, ge=1, description="Source images, and as many target images, of the base and of groups without shots."
        )
        shots: Shots = Field(
            SHOTS,
            description="Source and target images per group. Groups not listed keep their default; the base and groups "
            "without a default have --data.people of each.",
        )
        held_out: int = Field(200, ge=1, description="Held-out people per group and domain.")
        seed: int = Field(0, description="Seed that determines which people are drawn.")
        render: int = Field(128, ge=16, le=1024, description="Side length of the drawings in pixels.")

        @field_validator("shots")
        @classmethod
        def _complete_shots(cls, shots: Shots) -> Shots:
            return complete_shots(shots, SHOTS, list(GROUPS))

    def __init__(self, config: Config) -> None:
        for package in (*PACKAGES, RASTERISER):
            locate(*package, EXTRA)
        self.config = config
        self.base = check_known(config.base or "woman", list(GROUPS), "--data.base: the data set 'avatars'")
        self.groups = put_first(self.base, list(GROUPS))
        self._folder = cache_folder() / "avatars" / f"{_versions()}-{config.render}px-{recipe(VERSION, BOXES, GROUPS)}"
        self._noted = False
        for group, domain in itertools.product(self.groups, STYLES):
            self._check_enough(group, domain)

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the training drawings, sorted: many of the base group, the shots of other groups."""
        held_out = self.config.held_out
        return self._draw(group, domain, self._people(group, domain)[held_out:])

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the drawings of the held-out people, sorted; nobody is in both domains."""
        return self._draw(group, domain, self._people(group, domain)[: self.config.held_out])

    def design(self, path: Path) -> str:
        """Return domain and person, since every drawing shows a different person."""
        return f"{path.parent.name}/{path.stem}"

    def attributes(self, path: Path) -> Mapping[str, str]:
        """Return the person's skin, hair, glasses and beard, which both styles can show."""
        group, _, number = path.stem.rpartition("-")
        return attributes_of(group, "a" if path.parent.name == "a" else "b", int(number))

    def _people(self, group: str, domain: Domain) -> list[int]:
        """Return the numbers of different people, the held-out ones first."""
        looks = GROUPS[check_known(group, self.groups, "The data set 'avatars'")][domain]
        keys = (f"{self.config.seed}/{domain}/{group}/{draw}" for draw in itertools.count())
        people = (int.from_bytes(hashlib.sha256(key.encode()).digest()) % looks.people for key in keys)
        drawn: dict[int, None] = {}
        while len(drawn) < self._count(group, domain):
            drawn[next(people)] = None
        return list(drawn)

    def _count(self, group: str, domain: Domain) -> int:
        shots = shots_of(group, domain, self.config.shots, self.base)
        return self.config.held_out + (shots or self.config.people)

    def _check_enough(self, group: str, domain: Domain) -> None:
        most, wanted = GROUPS[group][domain].people, self._count(group, domain)
        if wanted > most:
            raise ConfigError(
                f"The data set 'avatars' can draw {most} different people of the group '{group}' in domain {domain}, "
                f"not {wanted}. Lower --data.people, --data.held_out or the group's --data.shots."
            )

    def _draw(self, group: str, domain: Domain, people: Sequence[int]) -> list[Path]:
        if not self._noted and sum(not self._path(group, domain, person).exists() for person in people) >= MANY:
            _LOGGER.warning("note: drawing people, about a hundred per second. They are kept in %s.", self._folder)
            self._noted = True
        return [self._png(group, domain, person) for person in sorted(people)]

    def _png(self, group: str, domain: Domain, person: int) -> Path:
        options = GROUPS[group][domain].options
        return kept(self._path(group, domain, person), lambda: draw(domain, options(person), self.config.render))

    def _path(self, group: str, domain: Domain, person: int) -> Path:
        return self._folder / domain / f"{group}-{person:010}.png"


def draw(domain: Domain, options: Mapping[str, Any], side: int) -> Image.Image:
    """Draw one person as ``side`` x ``side`` RGB pixels on white.

    Args:
        domain: The domain whose style to draw in.
        options: The variant and colour of every part, as DiceBear's options.
        side: Width and height in pixels.
    """
    from dicebear import Avatar

    avatar = Avatar(_style(STYLES[domain]), {**options, "seed": "i2i", "backgroundColor": ["ffffff"]})
    return rasterise(avatar.to_string(), side, BOXES[domain], EXTRA)


@cache
def _style(name: str) -> Any:
    from dicebear import Style

    return Style(json.loads((locate(*PACKAGES[1], EXTRA) / f"{name}.json").read_text(encoding="utf-8")))


def _versions() -> str:
    return "-".join(importlib.metadata.version(distribution) for distribution, _ in PACKAGES)
