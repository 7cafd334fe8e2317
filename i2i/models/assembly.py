"""Resolving a partial configuration: look up names, merge defaults, validate options, check the fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2i.config.options import Section, merge, validate
from i2i.config.run import PRESETS, RunConfig
from i2i.contracts.backbone import Backbone
from i2i.contracts.generator import Generator
from i2i.contracts.loss import Loss
from i2i.contracts.metric import Metric
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError, did_you_mean
from i2i.models.components import Components, Configured, component_name, configure
from i2i.models.fit import check_fit
from i2i.models.parts import find_discriminator, keys_of_parts, provider_of_discriminator
from i2i.registry.registry import Registry

_CONTRACTS: dict[str, type[Any]] = {"backbone": Backbone, "generator": Generator, "transfer": Transfer}


def resolve(given: Mapping[str, Any], registry: Registry, fitting: bool = True, judges: bool = True) -> Components:
    """Complete a partial configuration from presets and component defaults.

    Generator and discriminator inherit ``size`` and the options they share with the backbone (``channels``, ``light``)
    unless set explicitly.

    Args:
        given: The user's options, nested as in ``run.toml``.
        registry: Provides the components.
        fitting: Refuse parts that cannot work together; turn off when only the options matter.
        judges: If ``fitting``, also construct a discriminator; turn off for models that only translate.

    Raises:
        UnknownComponentError: No plugin provides a name.
        ConfigError: An option is unknown or wrong, or the parts cannot work together.
    """
    given = {**given, "loss": _tables(given.get("loss", {}))}
    backbone = registry.get(Backbone, component_name(given, "backbone"))
    run = validate(RunConfig, merge(_preset(given, backbone, registry), given), "the run")
    parts = _parts(run, backbone, registry)
    losses = _losses(backbone, parts["transfer"], run.loss, registry)
    providers = {kind: _provider(kind, part.name, registry) for kind, part in parts.items()}
    config = _completed(run, parts, losses, registry)
    chosen = Components(config, registry, losses=losses, providers=providers, **parts)
    if fitting:
        check_fit(chosen, judges)
    return chosen


def _parts(run: RunConfig, backbone_class: type[Backbone], registry: Registry) -> dict[str, Configured[Any]]:
    """Look up the parts of a model and validate their options."""
    backbone = configure(backbone_class, run.backbone, "backbone")
    shared = {**backbone.options.model_dump(), "size": run.size}
    sections = run.model_dump(include={"generator", "discriminator", "transfer"})
    generator = component_name(sections, "generator", backbone.options.generator)
    discriminator = component_name(sections, "discriminator", backbone.options.discriminator)
    transfer = registry.get(Transfer, component_name(sections, "transfer"))
    return {
        "backbone": backbone,
        "generator": configure(registry.get(Generator, generator), run.generator, "generator", shared),
        "discriminator": configure(
            find_discriminator(discriminator, registry), run.discriminator, "discriminator", shared
        ),
        "transfer": configure(transfer, merge(transfer.presets.get(run.preset, {}), run.transfer), "transfer"),
    }


def _completed(
    run: RunConfig, parts: Mapping[str, Configured[Any]], losses: Mapping[str, Configured[Loss]], registry: Registry
) -> RunConfig:
    """Return the configuration with all options of all components."""
    sections = {kind: part.section for kind, part in parts.items()}
    tables = {name: loss.options.model_dump(mode="json") for name, loss in losses.items()}
    return run.model_copy(update={**sections, "loss": tables, "metric": _metrics(run, registry)})


def _provider(kind: str, name: str, registry: Registry) -> str:
    if kind == "discriminator":
        return provider_of_discriminator(name, registry)
    return registry.provider(_CONTRACTS[kind], name)


def _preset(given: Mapping[str, Any], backbone: type[Backbone], registry: Registry) -> Section:
    name = given.get("preset", "quick")
    if not isinstance(name, str) or name not in PRESETS:
        near = did_you_mean(str(name), PRESETS)
        raise ConfigError(f"There is no preset '{name}'.{near} Known: {', '.join(PRESETS)}.")
    preset = backbone.presets.get(name, {})
    sections = {kind: _suiting(kind, given, backbone, preset, registry) for kind in preset}
    return merge(PRESETS[name], {kind: _giving_way(kind, section, given) for kind, section in sections.items()})


def _giving_way(kind: str, section: Any, given: Mapping[str, Any]) -> Any:
    """Drop preset options of a part that the user set for the backbone, so that the part inherits them."""
    if kind not in ("generator", "discriminator"):
        return section
    shared = given.get("backbone", {})
    return {option: value for option, value in section.items() if option not in shared}


def _suiting(kind: str, given: Mapping[str, Any], backbone: type[Backbone], preset: Section, registry: Registry) -> Any:
    """Return what applies of a preset's section: its options only fit the part that the preset stands for.

    Those of transfers are options that all transfers have, but one without steps refuses them.
    """
    if kind == "transfer":
        return preset[kind] if registry.get(Transfer, component_name(given, kind)).trains else {}
    if kind not in ("generator", "discriminator"):
        return preset[kind]
    default = preset.get("backbone", {}).get(kind, backbone.Config.model_fields[kind].default)
    name = component_name(given, kind, given.get("backbone", {}).get(kind, default))
    if name == default:
        return preset[kind]
    common = keys_of_parts(name, registry) & keys_of_parts(default, registry) if kind == "discriminator" else set()
    return {option: value for option, value in preset[kind].items() if option in common}


def _losses(
    backbone: type[Backbone], transfer: Configured[Transfer], given: Section, registry: Registry
) -> dict[str, Configured[Loss]]:
    added = {name: {"weight": 0.0} for name in transfer.options.loss}
    terms = merge(added, _tables(backbone.objective), _tables(transfer.options.objective), given)
    return {name: configure(registry.get(Loss, name), section, "loss") for name, section in terms.items()}


def _metrics(run: RunConfig, registry: Registry) -> dict[str, Section]:
    """Complete the options given for metrics; refuse unknown metrics."""
    for name in (*(run.evaluate.metrics or ()), *filter(None, [run.evaluate.best])):
        registry.get(Metric, name)
    picked = {name: configure(registry.get(Metric, name), section, "metric") for name, section in run.metric.items()}
    return {name: choice.options.model_dump(mode="json") for name, choice in picked.items()}


def _tables(losses: Mapping[str, Any]) -> Section:
    if not isinstance(losses, Mapping):
        raise ConfigError(f"'loss' cannot be {losses!r}. Give a table a term, or its weight.")
    return {name: dict(v) if isinstance(v, Mapping) else {"weight": v} for name, v in losses.items()}
