"""The components chosen by a configuration, with complete options, and how to build them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from i2i.config.options import Section, validate
from i2i.config.run import RunConfig
from i2i.contracts.backbone import Backbone
from i2i.contracts.discriminator import Discriminator
from i2i.contracts.domains import DOMAINS, Direction
from i2i.contracts.generator import Generator
from i2i.contracts.loss import Loss
from i2i.contracts.transfer import NoTransfer, Transfer
from i2i.errors import ConfigError
from i2i.registry.registry import Registry

DEFAULTS = {"backbone": "ugatit", "transfer": "branch", "data": "emoji"}
DIRECTIONS: tuple[Direction, Direction] = ("a2b", "b2a")
OPTIONAL_PASSES = frozenset({"cam", "latent", "encoded", "reconstructed", "group"})
"""Passes that not every combination of components provides."""

T = TypeVar("T")


@dataclass(frozen=True)
class Configured(Generic[T]):
    """A component class with its complete options.

    Attributes:
        component: The class.
        options: An instance of its ``Config``.
        inherited: Names of options taken from the backbone; a configuration need not repeat them.
        given: The name in the configuration, such as ``sketch`` or ``my-plugin:sketch``; by default the class's own.
    """

    component: type[T]
    options: Any
    inherited: frozenset[str] = frozenset()
    given: str = ""

    @property
    def name(self) -> str:
        """The name that finds the component again."""
        return self.given or self.component.name  # type: ignore[attr-defined]

    @property
    def section(self) -> Section:
        """The name and all options except inherited ones, as in ``run.toml``."""
        options = self.options.model_dump(mode="json", exclude=set(self.inherited))
        return {"name": self.name, **options}

    def but(self, **options: Any) -> Configured[T]:
        """Return the same component with other values of some options."""
        return replace(self, options=self.options.model_copy(update=options))

    def build(self, *arguments: Any) -> T:
        """Construct the component."""
        return self.component(self.options, *arguments)  # type: ignore[call-arg]


def component_name(given: Mapping[str, Any], kind: str, default: str | None = None) -> str:
    """Return the name of the component that a configuration chooses for a kind, or the default.

    Raises:
        ConfigError: The section is not a table.
    """
    section = given.get(kind, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"'{kind}' cannot be {section!r}. Give a table with its name and options.")
    return str(section.get("name") or default or DEFAULTS[kind])


def configure(
    component: type[Any], section: Section, kind: str, shared: Mapping[str, Any] | None = None
) -> Configured[Any]:
    """Validate a component's section of a configuration.

    Args:
        component: The class.
        section: Its options and name.
        kind: The kind of component, for messages.
        shared: Options of the backbone, inherited unless set in ``section``.

    Raises:
        ConfigError: An option is unknown or wrong.
    """
    given = {key: value for key, value in section.items() if key != "name"}
    known = component.Config.model_fields.keys() - given.keys()
    inherited = {key: value for key, value in (shared or {}).items() if key in known}
    options = validate(component.Config, {**inherited, **given}, f"{kind} '{component.name}'")
    full = str(section.get("name", ""))
    return Configured(component, options, frozenset(inherited), full if full.endswith(f":{component.name}") else "")


@dataclass(frozen=True)
class Components:
    """The parts of a model and its training, as chosen by a configuration.

    Attributes:
        config: The complete configuration.
        registry: Provides the parts.
        providers: Kind of part to name and version of its distribution.
    """

    config: RunConfig
    registry: Registry
    backbone: Configured[Backbone]
    generator: Configured[Generator]
    discriminator: Configured[Discriminator]
    transfer: Configured[Transfer]
    losses: dict[str, Configured[Loss]]
    providers: dict[str, str]

    def build_backbone(self, judges: bool = True) -> Backbone:
        """Construct generators, discriminators if ``judges``, and the backbone around them."""
        generators = {direction: self.generator.build() for direction in DIRECTIONS}
        generators["b2a"].share_with(generators["a2b"])
        discriminators = {domain: self.build_discriminator() for domain in DOMAINS if judges}
        return self.backbone.build(generators, discriminators)

    def build_discriminator(self) -> Discriminator:
        """Construct a discriminator with its parts; pretrained weights are not loaded yet."""
        discriminator = self.discriminator.build()
        discriminator.assemble(self.registry)
        return discriminator

    @property
    def provided(self) -> frozenset[str]:
        """The optional passes provided by generator and backbone."""
        return self.generator.component.provides | self.backbone.component.provides

    @property
    def transfers(self) -> list[Transfer.Config]:
        """The options of the transfer in each stage of the run; the base stage has none."""
        return [NoTransfer.Config() if stage == "base" else self.transfer.options for stage in self.config.stages]

    def losses_with(self, transfer: Transfer.Config) -> dict[str, Configured[Loss]]:
        """Return the losses that have a positive weight in the stage with this transfer."""
        own = {name: self.losses[name].but(weight=weight) for name, weight in transfer.loss.items()}
        return {name: choice for name, choice in {**self.losses, **own}.items() if choice.options.weight > 0}

    def build_losses(self, transfer: Transfer.Config) -> dict[str, Loss]:
        """Construct the losses of the stage with this transfer whose optional passes are all provided."""
        can = transfer.provides | self.provided
        wanted = {name: choice.build() for name, choice in self.losses_with(transfer).items()}
        return {name: loss for name, loss in wanted.items() if loss.needs & OPTIONAL_PASSES <= can}
