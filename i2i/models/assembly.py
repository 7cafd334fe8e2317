"""From names and options to objects: complete a configuration, check that its parts fit, and build them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from i2i.config.options import Section, merge, validate
from i2i.config.run import PRESETS, RunConfig
from i2i.contracts.backbone import Backbone
from i2i.contracts.dataset import Dataset, Extended, Group
from i2i.contracts.discriminator import Discriminator
from i2i.contracts.domains import DOMAINS, Direction
from i2i.contracts.generator import Generator
from i2i.contracts.loss import Loss
from i2i.contracts.metric import Metric
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError, DataError, UnknownComponentError, did_you_mean
from i2i.registry.registry import Registry

DEFAULTS = {"backbone": "ugatit", "transfer": "branch", "data": "emoji"}
DIRECTIONS: tuple[Direction, Direction] = ("a2b", "b2a")

T = TypeVar("T")


@dataclass(frozen=True)
class Configured(Generic[T]):
    """A component class with its complete options.

    Attributes:
        inherited: The options that it took from the backbone; a configuration need not repeat them.
    """

    component: type[T]
    options: Any
    inherited: frozenset[str] = frozenset()

    @property
    def section(self) -> Section:
        """Name and own options, as ``run.toml`` holds them."""
        options = self.options.model_dump(mode="json", exclude=set(self.inherited))
        return {"name": self.component.name, **options}  # type: ignore[attr-defined]

    def build(self, *arguments: Any) -> T:
        """Construct the component."""
        return self.component(self.options, *arguments)  # type: ignore[call-arg]


@dataclass(frozen=True)
class Components:
    """The parts of a model and its training that a configuration chooses.

    Attributes:
        config: The configuration, complete.
        registry: Where the parts come from.
        providers: Kind of part to name and version of the distribution that provides it.
    """

    config: RunConfig
    registry: Registry
    backbone: Configured[Backbone]
    generator: Configured[Generator]
    discriminator: Configured[Discriminator]
    transfer: Configured[Transfer]
    losses: dict[str, Configured[Loss]]
    providers: dict[str, str]

    def build_backbone(self) -> Backbone:
        """Construct generators, discriminators and the backbone around them."""
        generators = {direction: self.generator.build() for direction in DIRECTIONS}
        generators["b2a"].share_with(generators["a2b"])
        discriminators = {domain: self.build_discriminator() for domain in DOMAINS}
        return self.backbone.build(generators, discriminators)

    def build_discriminator(self) -> Discriminator:
        """Construct a discriminator with its parts; weights of pretrained ones are not loaded yet."""
        discriminator = self.discriminator.build()
        discriminator.assemble(self.registry)
        return discriminator

    def build_losses(self, provided: frozenset[str]) -> dict[str, Loss]:
        """Construct the terms of positive weight that can be computed, given what the transfer provides."""
        can = provided | self.generator.component.provides | self.backbone.component.provides
        wanted = {name: choice.build() for name, choice in self.losses.items() if choice.options.weight > 0}
        return {name: loss for name, loss in wanted.items() if loss.needs & _OPTIONAL <= can}


_CONTRACTS: dict[str, type[Any]] = {
    "backbone": Backbone, "generator": Generator, "discriminator": Discriminator, "transfer": Transfer,
}  # fmt: skip

# Passes that not every combination of components provides.
_OPTIONAL = frozenset({"cam", "latent", "encoded", "reconstructed", "group"})


def resolve(given: Mapping[str, Any], registry: Registry, fitting: bool = True) -> Components:
    """Complete a partial configuration from presets and the components' defaults.

    Generator and discriminator take ``size``, and each option that they share with the backbone (``channels``,
    ``light``), from there unless given their own.

    Args:
        given: What the user decided, nested as in ``run.toml``.
        registry: Where components come from.
        fitting: Refuse parts that cannot work together; off where only their options are of interest.

    Raises:
        UnknownComponentError: No plugin provides a name.
        ConfigError: An option is unknown or wrong, or the parts cannot work together.
    """
    given = {**given, "loss": _tables(given.get("loss", {}))}
    backbone_class = registry.get(Backbone, _name(given, "backbone"))
    full = merge(_preset(given, backbone_class), given)
    run = validate(RunConfig, full, "the run")
    backbone = _pick(backbone_class, run.backbone, "backbone")
    shared = {**backbone.options.model_dump(), "size": run.size}
    generator = registry.get(Generator, _name(full, "generator", backbone.options.generator))
    discriminator = registry.get(Discriminator, _name(full, "discriminator", backbone.options.discriminator))
    strategy = registry.get(Transfer, _name(full, "transfer"))
    transfer = _pick(strategy, merge(strategy.presets.get(run.preset, {}), run.transfer), "transfer")
    parts: dict[str, Configured[Any]] = {
        "backbone": backbone,
        "generator": _pick(generator, run.generator, "generator", shared),
        "discriminator": _pick(discriminator, run.discriminator, "discriminator", shared),
        "transfer": transfer,
    }
    losses = _losses(backbone_class, transfer, run.loss, registry)
    sections = {kind: choice.section for kind, choice in parts.items()}
    tables = {name: choice.options.model_dump(mode="json") for name, choice in losses.items()}
    providers = {kind: registry.provider(_CONTRACTS[kind], part.component.name) for kind, part in parts.items()}
    config = run.model_copy(update={**sections, "loss": tables, "metric": _metrics(run, registry)})
    chosen = Components(config, registry, losses=losses, providers=providers, **parts)
    if fitting:
        _check_fit(chosen)
    return chosen


def resolve_data(given: Mapping[str, Any], registry: Registry) -> Configured[Dataset]:
    """Complete the ``data`` section of a configuration.

    Raises:
        UnknownComponentError: No plugin provides the data set.
        ConfigError: An option is unknown or wrong.
    """
    return _pick(find_dataset(given, registry), given.get("data", {}), "data")


def build_data(data: Configured[Dataset], groups: Sequence[str], registry: Registry) -> Dataset:
    """Construct a data set with the groups that plugins add to it.

    Raises:
        UnknownComponentError: No plugin provides a group.
        PluginError: Two plugins do.
        DataError: The data cannot be used, or has a group of that name.
    """
    dataset = data.build()
    for name in groups:
        if name in dataset.groups:
            raise DataError(
                f"The data set '{data.component.name}' ({registry.provider(Dataset, data.component.name)}) has a "
                f"group '{name}', and so has {registry.provider(Group, name)}. Name the plugins' groups to use: "
                "--extra-groups '[]'."
            )
    return Extended([registry.get_instance(Group, name) for name in groups], dataset) if groups else dataset


def find_dataset(given: Mapping[str, Any], registry: Registry) -> type[Dataset]:
    """Return the data set that a configuration names.

    Raises:
        UnknownComponentError: No plugin provides it.
    """
    name = _name(given, "data")
    try:
        return registry.get(Dataset, name)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{error} A folder of images is named by a path, such as ./{name}.") from error


def _preset(given: Mapping[str, Any], backbone: type[Backbone]) -> Section:
    name = given.get("preset", "quick")
    if name not in PRESETS:
        near = did_you_mean(str(name), PRESETS)
        raise ConfigError(f"There is no preset '{name}'.{near} Known: {', '.join(PRESETS)}.")
    own = {k: v for k, v in backbone.presets.get(name, {}).items() if _suits(k, given, backbone)}
    return merge(PRESETS[name], {kind: _giving_way(kind, section, given) for kind, section in own.items()})


def _giving_way(kind: str, section: Section, given: Mapping[str, Any]) -> Section:
    """Drop a preset's options of a part that are given for the backbone, from which the part takes them."""
    shared = given.get("backbone", {}) if kind in ("generator", "discriminator") else {}
    return {option: value for option, value in section.items() if option not in shared}


def _suits(section: str, given: Mapping[str, Any], backbone: type[Backbone]) -> bool:
    """Say whether a preset's section applies: options of a backbone's own part do not fit another part."""
    if section not in ("generator", "discriminator"):
        return True
    own = backbone.Config.model_fields[section].default
    return bool(_name(given, section, given.get("backbone", {}).get(section, own)) == own)


def _name(given: Mapping[str, Any], kind: str, default: str | None = None) -> str:
    section = given.get(kind, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"'{kind}' cannot be {section!r}. Give a table with its name and options.")
    return str(section.get("name") or default or DEFAULTS[kind])


def _pick(
    component: type[Any], section: Section, kind: str, shared: Mapping[str, Any] | None = None
) -> Configured[Any]:
    own = {key: value for key, value in section.items() if key != "name"}
    known = component.Config.model_fields.keys() - own.keys()
    inherited = {key: value for key, value in (shared or {}).items() if key in known}
    options = validate(component.Config, {**inherited, **own}, f"{kind} '{component.name}'")
    return Configured(component, options, frozenset(inherited))


def _losses(
    backbone: type[Backbone], transfer: Configured[Transfer], given: Section, registry: Registry
) -> dict[str, Configured[Loss]]:
    terms = merge(_tables(backbone.objective), _tables(transfer.options.objective), given)
    return {name: _pick(registry.get(Loss, name), section, "loss") for name, section in terms.items()}


def _metrics(run: RunConfig, registry: Registry) -> dict[str, Section]:
    """Complete the options of metrics that are given some; refuse names of metrics that there are not."""
    for name in (*(run.evaluate.metrics or ()), *filter(None, [run.evaluate.best])):
        registry.get(Metric, name)
    picked = {name: _pick(registry.get(Metric, name), section, "metric") for name, section in run.metric.items()}
    return {name: choice.options.model_dump(mode="json") for name, choice in picked.items()}


def _tables(losses: Mapping[str, Any]) -> Section:
    if not isinstance(losses, Mapping):
        raise ConfigError(f"'loss' cannot be {losses!r}. Give a table a term, or its weight.")
    return {name: dict(v) if isinstance(v, Mapping) else {"weight": v} for name, v in losses.items()}


def _check_fit(chosen: Components) -> None:
    can = chosen.transfer.options.provides | chosen.generator.component.provides | chosen.backbone.component.provides
    lacking = sorted(chosen.backbone.component.requires - chosen.generator.component.provides)
    if lacking:
        raise ConfigError(_unsuited(chosen, lacking[0]))
    for name, choice in chosen.losses.items():
        lacking = sorted((choice.component.needs & _OPTIONAL) - can)
        if choice.options.weight > 0 and lacking:
            raise ConfigError(_misfit(chosen, name, lacking[0]))
    if not any(choice.options.weight for choice in chosen.losses.values()):
        raise ConfigError(
            "Every loss has weight 0, so that nothing would be learned. Give one a weight: --loss.cycle 10."
        )
    _check_buildable(chosen)


def _check_buildable(components: Components) -> None:
    """Construct the networks without memory for their weights, so that they can refuse options before a run starts."""
    with suppress(RuntimeError), torch.device("meta"):  # networks that need real weights are built later
        step, size = components.generator.build().multiple_of, components.config.size
        if size % step:
            near = max(step, round(size / step) * step)
            raise ConfigError(
                f"The generator '{components.generator.component.name}' takes sizes that divide by {step}, not {size}. "
                f"Try --size {near}."
            )
        components.build_discriminator()


def _misfit(chosen: Components, loss: str, lacking: str) -> str:
    if lacking == "group":
        who, does = f"transfer '{chosen.transfer.component.name}'", "adds no group head as configured"
    elif lacking == "reconstructed":
        who, does = f"backbone '{chosen.backbone.component.name}'", "computes no reconstruction"
    else:
        who, does = f"generator '{chosen.generator.component.name}'", f"gives no {lacking}"
    remedy = f"Set --loss.{loss} 0, or choose another {who.split()[0]}."
    return f"Loss '{loss}' needs '{lacking}', but the {who} {does}. {remedy}"


def _unsuited(chosen: Components, lacking: str) -> str:
    own = chosen.backbone.component.Config.model_fields["generator"].default
    return (
        f"The backbone '{chosen.backbone.component.name}' needs generators that give '{lacking}', but "
        f"'{chosen.generator.component.name}' gives none. Use --generator {own}."
    )
