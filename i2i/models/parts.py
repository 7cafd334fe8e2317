"""Joined discriminators, each part at its own scale: ``timm+patch+patch/2``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import torch.nn.functional as F
from pydantic import Field, create_model
from torch import Tensor, nn

from i2i.config.options import Options, as_written, validate
from i2i.contracts.discriminator import Discriminator, Verdict
from i2i.contracts.lookup import Lookup
from i2i.errors import ConfigError, UnknownComponentError
from i2i.registry.registry import Registry

_PART = re.compile(r"(?P<name>[^/]+)(?:/(?P<scale>[2-9]|[1-9]\d+))?")


@dataclass(frozen=True)
class Part:
    """One part of a joined discriminator.

    Attributes:
        component: The registered class.
        scale: Factor by which its images are downscaled.
    """

    component: type[Discriminator]
    scale: int

    @property
    def key(self) -> str:
        """The name of its options and weights: ``patch``, or ``patch_2`` at half resolution."""
        name = re.sub(r"\W", "_", self.component.name)
        return name if self.scale == 1 else f"{name}_{self.scale}"

    def build(self, whole: Discriminator.Config) -> Discriminator:
        """Construct the part; missing options come from the joined discriminator, then from the defaults."""
        options = getattr(whole, self.key).model_dump(exclude={"weight"}, exclude_none=True)
        given = {"channels": whole.channels, **options, "size": whole.size // self.scale}
        known = {name: value for name, value in given.items() if name in self.component.Config.model_fields}
        with self.own_options():
            return self.component(validate(self.component.Config, known, f"discriminator '{self.component.name}'"))

    @contextmanager
    def own_options(self) -> Iterator[None]:
        """Name the options in errors as the joined discriminator has them: ``--discriminator.patch_2.layers``."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError(str(error).replace("--discriminator.", f"--discriminator.{self.key}.")) from error

    def options(self) -> type[Options]:
        """Return the options class: the part's options, all optional, and its weight."""
        fields = {name: info for name, info in self.component.Config.model_fields.items() if name != "size"}
        optional = {name: _optional(name, info) for name, info in fields.items()}
        weight = Field(1.0, ge=0, description="Factor on the adversarial term of this part.")
        return create_model(self.key, __base__=Options, weight=(float, weight), **cast(Any, optional))


class JoinedDiscriminator(Discriminator):
    """Several discriminators, each at its own scale (abstract; created by `find_discriminator`).

    Attributes:
        joined: The parts, in the order they are named.
    """

    joined: ClassVar[tuple[Part, ...]]

    def __init__(self, config: Discriminator.Config) -> None:
        super().__init__(config)
        built = {part.key: part.build(config) for part in self.joined}
        self.parts = nn.ModuleDict(built)
        self.branch_points = tuple(
            f"parts.{key}.{point}" for key, part in built.items() for point in part.branch_points
        )

    def assemble(self, lookup: Lookup) -> None:
        """Assemble the parts."""
        for part, built in zip(self.joined, self._built, strict=True):
            with part.own_options():
                built.assemble(lookup)
        if all(part.feature_channels for part in self._built):
            self.feature_channels = tuple(width for part in self._built for width in part.feature_channels)

    def renewed(self) -> Self:
        """Return one of renewed parts."""
        fresh = super().renewed()
        fresh.parts = nn.ModuleDict({key: part.renewed() for key, part in zip(self.parts, self._built, strict=True)})
        fresh.feature_channels = self.feature_channels
        return fresh

    def forward(self, x: Tensor) -> Verdict:
        """Run every part on ``x``, ``(N, 3, H, W)`` in [-1, 1]; smaller scales get average-pooled images."""
        verdicts = [self._judge(part, x) for part in self.joined]
        return Verdict(
            [logits for verdict in verdicts for logits in verdict.logits],
            [logits for verdict in verdicts for logits in verdict.cam_logits],
            [features for verdict in verdicts for features in verdict.features] if self.feature_channels else [],
            weights=self._weights(verdicts),
        )

    @property
    def note(self) -> str:  # type: ignore[override]
        """The notes of all parts."""
        return " ".join(part.note for part in self._built if part.note)

    @property
    def _built(self) -> list[Discriminator]:
        return cast("list[Discriminator]", list(self.parts.values()))

    def _judge(self, part: Part, x: Tensor) -> Verdict:
        verdict: Verdict = self.parts[part.key](x if part.scale == 1 else F.avg_pool2d(x, part.scale))
        return verdict

    def _weights(self, verdicts: list[Verdict]) -> list[float]:
        """Return one weight per logit map, then one per CAM logit map; empty if all are 1."""
        factors = [getattr(self.config, part.key).weight for part in self.joined]
        pairs = list(zip(factors, verdicts, strict=True))
        patches = [factor for factor, verdict in pairs for _ in verdict.logits]
        cams = [factor for factor, verdict in pairs for _ in verdict.cam_logits]
        return [] if set(factors) == {1.0} else patches + cams


def find_discriminator(name: str, registry: Registry) -> type[Discriminator]:
    """Return a discriminator by name; ``+`` joins several, and ``/2`` runs one at half resolution.

    Each part has its own options, ``--discriminator.patch_2.layers 2``, and a weight.

    Raises:
        UnknownComponentError: No plugin provides a part.
        ConfigError: The name is malformed, or repeats a part at the same scale.
    """
    if not _is_joined(name):
        return registry.get(Discriminator, name)
    parts = tuple(_read(part, name, registry) for part in name.split("+"))
    keys = [part.key for part in parts]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"The discriminator '{name}' has the part '{twice}' twice. Give one another scale, such as /2."
        )
    sections = {part.key: part.options() for part in parts}
    fields: Mapping[str, Any] = {key: (section, section()) for key, section in sections.items()}
    config = create_model("Config", __base__=Discriminator.Config, **fields)
    text = f"The discriminators {', '.join(name.split('+'))} together."
    return type("Joined", (JoinedDiscriminator,), {"name": name, "joined": parts, "Config": config, "__doc__": text})


def keys_of_parts(name: str, registry: Registry) -> set[str]:
    """Return the keys of a joined discriminator's parts, see `Part.key`; empty if it is not joined.

    Raises:
        UnknownComponentError: No plugin provides a part.
        ConfigError: The name is malformed.
    """
    return {_read(part, name, registry).key for part in name.split("+")} if _is_joined(name) else set()


def provider_of_discriminator(name: str, registry: Registry) -> str:
    """Return the name and version of the distributions that provide a discriminator and its parts."""
    names = [part.partition("/")[0] for part in name.split("+")] if _is_joined(name) else [name]
    return ", ".join(dict.fromkeys(registry.provider(Discriminator, part) for part in names))


def _is_joined(name: str) -> bool:
    return "+" in name or "/" in name


def _read(text: str, whole: str, registry: Registry) -> Part:
    match = _PART.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"The discriminator '{whole}' has a part '{text}' that cannot be read. Join names by +, and write /2 after "
            "one that judges at half resolution: timm+patch+patch/2."
        )
    try:
        return Part(registry.get(Discriminator, match["name"]), int(match["scale"] or 1))
    except UnknownComponentError as error:
        raise UnknownComponentError(f"The discriminator '{whole}': {error}") from error


def _optional(name: str, info: Any) -> tuple[Any, Any]:
    """Return the field as optional, its description stating the fallback."""
    taken = "as the whole" if name == "channels" else info.get_default(call_default_factory=True)
    field = copy(info)
    field.default, field.default_factory, field.validate_default = None, None, False
    if taken is not None:
        field.description = f"{info.description or ''} [{as_written(taken)} if not given]".strip()
    return info.annotation | None, field
