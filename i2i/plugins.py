"""Plugins: discovery through entry points, isolation of broken ones, and the registry of components."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint
from typing import TYPE_CHECKING, Any

import pluggy

from i2i import hookspecs
from i2i.errors import PluginError, UnknownComponentError, did_you_mean

if TYPE_CHECKING:
    from i2i.backbone import Backbone
    from i2i.dataset import Dataset
    from i2i.discriminator import Discriminator
    from i2i.generator import Generator
    from i2i.loss import Loss
    from i2i.metric import Metric
    from i2i.transfer import Transfer

KINDS = {
    "backbone": "register_backbones",
    "generator": "register_generators",
    "discriminator": "register_discriminators",
    "loss": "register_losses",
    "transfer": "register_transfers",
    "metric": "register_metrics",
    "dataset": "register_datasets",
}
DISABLE = "I2I_DISABLE_PLUGINS"
STRICT = "I2I_STRICT_PLUGINS"


_Components = dict[str, dict[str, list[tuple[type[Any], "Plugin"]]]]


@dataclass
class Plugin:
    """One entry point: where it comes from, what it implements, and why it does not work if it does not.

    Attributes:
        name: The entry point's name.
        distribution: Name and version of the distribution that installed it, ``"i2i 0.1.0"``.
        hooks: The hooks it implements, sorted.
        components: Kind to the names it registered.
        error: One line when it is broken, else "".
        conflicts: One message for each of its names that another plugin defines too.
    """

    name: str
    distribution: str
    hooks: tuple[str, ...] = ()
    components: dict[str, list[str]] = field(default_factory=dict)
    error: str = ""
    conflicts: list[str] = field(default_factory=list)


class Registry:
    """All plugins, and the components that they register. Components are imported at the first look-up.

    Args:
        entry_points: Where to look; by default everything installed in the group ``i2i``.
        disabled: Names of plugins to leave out.
        strict: Raise for a broken plugin instead of remembering and working on.
    """

    def __init__(
        self,
        entry_points: Iterable[EntryPoint] | None = None,
        disabled: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        self.hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self.hooks.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._strict = strict
        self._components: _Components | None = None
        found = importlib.metadata.entry_points(group=hookspecs.PROJECT) if entry_points is None else entry_points
        for entry_point in sorted(found, key=lambda e: e.name):
            if entry_point.name not in set(disabled):
                self._load(entry_point)

    def add(self, module: object, name: str) -> None:
        """Register a plugin that is not installed, such as one defined in a test or a notebook."""
        plugin = Plugin(name, "this process")
        self.plugins.append(plugin)
        self._components = None
        with self._isolated(plugin):
            self._register(module, plugin)

    def backbone(self, name: str) -> type[Backbone]:
        """Return the backbone class of that name, or raise `UnknownComponentError` naming the nearest."""
        return self._find("backbone", name)

    def generator(self, name: str) -> type[Generator]:
        """Return the generator class of that name."""
        return self._find("generator", name)

    def discriminator(self, name: str) -> type[Discriminator]:
        """Return the discriminator class of that name."""
        return self._find("discriminator", name)

    def loss(self, name: str) -> type[Loss]:
        """Return the loss class of that name."""
        return self._find("loss", name)

    def transfer(self, name: str) -> type[Transfer]:
        """Return the transfer class of that name."""
        return self._find("transfer", name)

    def metric(self, name: str) -> type[Metric]:
        """Return the metric class of that name."""
        return self._find("metric", name)

    def dataset(self, name: str) -> type[Dataset]:
        """Return the data set class of that name."""
        return self._find("dataset", name)

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, sorted."""
        return sorted(self._all()[kind])

    def provider(self, kind: str, name: str) -> str:
        """Return name and version of the distribution that provides a component."""
        self._find(kind, name)
        return self._all()[kind][name][0][1].distribution

    def load_components(self) -> None:
        """Import all components now, so that ``plugins`` tells what each provides and which are broken."""
        self._all()

    def commands(self, app: Any) -> None:
        """Let every plugin add its commands."""
        for plugin in [p for p in self.plugins if "register_commands" in p.hooks and not p.error]:
            with self._isolated(plugin):
                self._call(plugin, "register_commands", app=app)

    def _find(self, kind: str, name: str) -> type[Any]:
        providers = self._all()[kind].get(name, [])
        if len(providers) == 1:
            return providers[0][0]
        if providers:
            raise PluginError(_conflict(kind, name, [plugin for _, plugin in providers]))
        known = self.names(kind)
        broken = "".join(f" Plugin '{p.name}' ({p.distribution}) is broken: {p.error}" for p in self.plugins if p.error)
        raise UnknownComponentError(
            f"There is no {kind} '{name}'.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}.{broken}"
        )

    def _all(self) -> _Components:
        if self._components is None:
            self._components = {kind: {} for kind in KINDS}
            for plugin in [p for p in self.plugins if not p.error]:
                with self._isolated(plugin):
                    self._gather(plugin, self._components)
        return self._components

    def _gather(self, plugin: Plugin, into: _Components) -> None:
        hooks = {kind: hook for kind, hook in KINDS.items() if hook in plugin.hooks}
        found = {kind: list(self._call(plugin, hook)) for kind, hook in hooks.items()}
        plugin.components = {kind: [_name_of(kind, item) for item in items] for kind, items in found.items()}
        for kind, items in found.items():
            for component in items:
                providers = into[kind].setdefault(component.name, [])
                providers.append((component, plugin))
                if len(providers) > 1:
                    self._refuse_conflict(_conflict(kind, component.name, [p for _, p in providers]), plugin)

    def _refuse_conflict(self, message: str, plugin: Plugin) -> None:
        if self._strict:
            raise PluginError(message)
        plugin.conflicts.append(message)

    def _call(self, plugin: Plugin, hook: str, **arguments: Any) -> Iterable[Any]:
        others = [module for name, module in self.hooks.list_name_plugin() if name != plugin.name]
        results = self.hooks.subset_hook_caller(hook, others)(**arguments)
        return results[0] if results else ()

    def _load(self, entry_point: EntryPoint) -> None:
        plugin = Plugin(entry_point.name, _describe(entry_point.dist))
        self.plugins.append(plugin)
        with self._isolated(plugin):
            self._register(entry_point.load(), plugin)

    def _register(self, module: object, plugin: Plugin) -> None:
        self.hooks.register(module, name=plugin.name)
        self.hooks.check_pending()
        plugin.hooks = tuple(sorted(caller.name for caller in self.hooks.get_hookcallers(module) or []))

    @contextmanager
    def _isolated(self, plugin: Plugin) -> Iterator[None]:
        """Remember the plugin as broken, and take it out, when the block raises."""
        try:
            yield
        except Exception as error:
            plugin.error = _one_line(error)
            if self.hooks.has_plugin(plugin.name):
                self.hooks.unregister(name=plugin.name)
            if self._strict:
                raise PluginError(
                    f"Plugin '{plugin.name}' ({plugin.distribution}) is broken: {plugin.error} "
                    f"Mend or uninstall it, or set {DISABLE}={plugin.name}."
                ) from error


@cache
def installed() -> Registry:
    """Return the registry of everything installed, less the names in ``I2I_DISABLE_PLUGINS`` (comma-separated)."""
    disabled = [name.strip() for name in os.environ.get(DISABLE, "").split(",")]
    return Registry(disabled=disabled, strict=bool(os.environ.get(STRICT)))


def _name_of(kind: str, component: Any) -> str:
    name = getattr(component, "name", None)
    if not isinstance(component, type) or not isinstance(name, str):
        raise PluginError(f"{KINDS[kind]} returned {component!r}, which is no {kind} class with a name.")
    return name


def _conflict(kind: str, name: str, owners: list[Plugin]) -> str:
    whose = " and ".join(f"plugin '{p.name}' of {p.distribution}" for p in owners)
    return f"The {kind} '{name}' is defined by {whose}. Uninstall one, or set {DISABLE}={owners[-1].name}."


def _describe(distribution: Distribution | None) -> str:
    return f"{distribution.name} {distribution.version}" if distribution else "unknown"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
