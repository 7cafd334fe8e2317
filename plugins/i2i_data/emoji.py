"""The embedded data set: the same people drawn by two artists, in four groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from i2i import Dataset
from i2i_data.drawings import Drawings
from i2i_data.groups import Shots, check_known, complete_shots, put_first, shots_of
from i2i_data.people import GROUPS, design_of

if TYPE_CHECKING:
    from i2i import Domain

SHOTS: Shots = {"man": (75, 15), "kid": (50, 10), "elderly": (50, 10)}


class Emoji(Dataset):
    """Twemoji (domain a) and OpenMoji (domain b): woman, man, kid and elderly, aligned by code point.

    Training and test are split by design: no test design occurs in training, in any skin tone or domain. The split and
    the shots depend only on ``config.seed``, not on the state of any random generator.

    The art is CC-BY 4.0 (Twemoji) and CC-BY-SA 4.0 (OpenMoji).

    Raises:
        DataError: A package of the extra ``emoji`` is missing, or ``config.base`` is not a group.
    """

    name: ClassVar[str] = "emoji"

    class Config(Dataset.Config):
        """Options of the embedded data set."""

        shots: Shots = Field(
            SHOTS,
            description="Source and target images per group, or as many as it has. Groups not listed keep their "
            "default; the base and groups without a default have all.",
        )
        test_fraction: float = Field(
            0.25, gt=0, lt=1, description="Fraction of a group's distinct designs to hold out, at least one."
        )
        seed: int = Field(0, description="Seed of the training/test split and of the shots.")
        render: int = Field(128, ge=16, le=1024, description="Side length of the drawings in pixels.")

        @field_validator("shots")
        @classmethod
        def _complete_shots(cls, shots: Shots) -> Shots:
            return complete_shots(shots, SHOTS, list(GROUPS))

    def __init__(self, config: Config) -> None:
        self.config = config
        self.base = check_known(config.base or "woman", list(GROUPS), "--data.base: the data set 'emoji'")
        self.groups = put_first(self.base, list(GROUPS))
        self._drawings = Drawings(config.render)

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the training drawings, sorted: all of the base group, the shots of other groups."""
        names = self._names(group, held_out=False)
        count = shots_of(group, domain, self.config.shots, self.base)
        return self._draw(domain, self._shuffle(names, f"shots/{domain}")[:count])

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return the drawings of the held-out designs, sorted; the same designs in both domains."""
        return self._draw(domain, self._names(group, held_out=True))

    def design(self, path: Path) -> str:
        """Return the emoji without its skin tone: all tones, by both artists, are one design."""
        return design_of(path.stem)

    def pairs(self, group: str) -> Sequence[tuple[Path, Path]]:
        """Return each held-out drawing of domain a with the other artist's drawing of the same person."""
        return list(zip(self.test(group, "a"), self.test(group, "b"), strict=True))

    def _names(self, group: str, held_out: bool) -> list[str]:
        """Return the group's emoji on one side of the split."""
        designs = GROUPS[check_known(group, self.groups, "The data set 'emoji'")].designs
        test = self._held_out(group)
        return [name for design in designs if (design in test) == held_out for name in self._by_design.get(design, ())]

    @cached_property
    def _by_design(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for name in self._drawings.names:
            named.setdefault(design_of(name), []).append(name)
        return named

    def _held_out(self, group: str) -> set[str]:
        """Choose positions, not names, so that the same roles are held out of woman and man."""
        designs = GROUPS[group].distinct
        count = max(1, min(len(designs) - 1, round(self.config.test_fraction * len(designs))))
        positions = self._shuffle(map(str, range(len(designs))), "test")
        return {designs[int(position)] for position in positions[:count]}

    def _shuffle(self, names: Iterable[str], purpose: str) -> list[str]:
        """Return the names in an order that depends on the seed and the purpose, the same on every machine."""
        return sorted(names, key=lambda name: hashlib.sha256(f"{self.config.seed}/{purpose}/{name}".encode()).digest())

    def _draw(self, domain: Domain, names: Iterable[str]) -> list[Path]:
        return [self._drawings.png(domain, name) for name in sorted(names)]
