"""Plugins: discovery through entry points, isolation of broken ones, and the registry of components."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint
from typing import TYPE_CHECKING, Any, cast

import pluggy

from i2i.errors import PluginError, UnknownComponentError, did_you_mean
from i2i.hooks import PROJECT
from i2i.registry import hookspecs

if TYPE_CHECKING:
    from i2i.contracts.backbone import Backbone
    from i2i.contracts.checkpoint_format import CheckpointFormat
    from i2i.contracts.dataset import Dataset, Group
    from i2i.contracts.detector import GroupDetector
    from i2i.contracts.discriminator import Discriminator
    from i2i.contracts.feature import FeatureNetwork
    from i2i.contracts.generator import Generator
    from i2i.contracts.loss import Loss
    from i2i.contracts.metric import Metric
    from i2i.contracts.transfer import Transfer
    from i2i.contracts.weights import WeightsSource

KINDS = {
    "backbone": "register_backbones",
    "generator": "register_generators",
    "discriminator": "register_discriminators",
    "loss": "register_losses",
    "transfer": "register_transfers",
    "metric": "register_metrics",
    "feature": "register_features",
    "dataset": "register_datasets",
    "group": "register_groups",
    "detector": "register_detectors",
    "format": "register_formats",
    "weights": "register_weights",
}
"""Kind of component to the hook that registers it."""
DISABLE = "I2I_DISABLE_PLUGINS"
STRICT = "I2I_STRICT_PLUGINS"


_TITLES = {
    "feature": "feature network",
    "dataset": "data set",
    "group": "plugin's group",
    "detector": "group detector",
    "format": "checkpoint format",
    "weights": "source of weights",
}
_CONTRACTS = {
    "feature": "FeatureNetwork",
    "format": "CheckpointFormat",
    "weights": "WeightsSource",
    "detector": "GroupDetector",
}
_MODULES = {"group": "dataset", "format": "checkpoint_format"}
_INSTANCES = frozenset({"group", "weights"})
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
        module: What holds the hooks; None when it could not be imported.
        cause: What a broken one raised.
    """

    name: str
    distribution: str
    hooks: tuple[str, ...] = ()
    components: dict[str, list[str]] = field(default_factory=dict)
    error: str = ""
    conflicts: list[str] = field(default_factory=list)
    module: object = field(default=None, repr=False)
    cause: BaseException | None = field(default=None, repr=False)


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
        self.hooks = pluggy.PluginManager(PROJECT)
        self.hooks.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._strict = strict
        self._components: _Components | None = None
        found = importlib.metadata.entry_points(group=PROJECT) if entry_points is None else entry_points
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

    def feature(self, name: str) -> type[FeatureNetwork]:
        """Return the feature network class of that name, without what follows a colon."""
        return self._find("feature", name)

    def dataset(self, name: str) -> type[Dataset]:
        """Return the data set class of that name."""
        return self._find("dataset", name)

    def group(self, name: str) -> Group:
        """Return the group, with its images, of that name."""
        return cast("Group", self._find("group", name))

    def groups_of(self, dataset: str) -> list[str]:
        """Return the names of the groups that extend a data set, sorted; also those that two plugins define."""
        found = self._all()["group"].items()
        return sorted(name for name, all_ in found if any(cast("Group", g).extends == dataset for g, _ in all_))

    def detector(self, name: str) -> type[GroupDetector]:
        """Return the group detector class of that name."""
        return self._find("detector", name)

    def format(self, name: str) -> type[CheckpointFormat]:
        """Return the checkpoint format class of that name."""
        return self._find("format", name)

    def weights(self, name: str) -> WeightsSource:
        """Return the source of weights of that name."""
        return cast("WeightsSource", self._find("weights", name))

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, sorted; those that two plugins define are left out."""
        return sorted(name for name, providers in self._all()[kind].items() if len(providers) == 1)

    def provided_by(self, plugin: Plugin) -> list[tuple[str, type[Any]]]:
        """Return kind and class of every component of a plugin, also of those that another plugin defines too."""
        everything = [(kind, pair) for kind, named in self._all().items() for pairs in named.values() for pair in pairs]
        return [(kind, component) for kind, (component, owner) in everything if owner is plugin]

    def provider(self, kind: str, name: str) -> str:
        """Return name and version of the distribution that provides a component."""
        self._find(kind, name)
        return self._all()[kind][name][0][1].distribution

    def load_components(self) -> None:
        """Import all components now, so that ``plugins`` tells what each provides and which are broken."""
        self._all()

    def refuse_broken(self) -> None:
        """Be strict from now on: raise for a broken plugin instead of working without it.

        Raises:
            PluginError: A plugin is broken already.
        """
        self._strict = True
        self._components = None  # so that names which two plugins define are refused, too
        for plugin in self.plugins:
            if plugin.error:
                raise PluginError(_breakage(plugin)) from plugin.cause

    def check_hooks(self, module: object) -> None:
        """Refuse a registered plugin or listener with a hook that i2i lacks.

        Raises:
            PluginError: The message names the hook, and the nearest.
        """
        try:
            self.hooks.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = next(caller.name for caller in self.hooks.get_hookcallers(module) or () if not caller.has_spec())
            known = [name for name in vars(hookspecs) if name.startswith(("register_", "on_"))]
            raise PluginError(f"i2i has no hook '{unknown}'.{did_you_mean(unknown, known)}") from error

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
        known, title = self.names(kind), _TITLES.get(kind, kind)
        broken = "".join(f" Plugin '{p.name}' ({p.distribution}) is broken: {p.error}" for p in self.plugins if p.error)
        raise UnknownComponentError(
            f"There is no {title} '{name}'.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}.{broken}"
        )

    def _all(self) -> _Components:
        if self._components is None:
            found: _Components = {kind: {} for kind in KINDS}
            for plugin in [p for p in self.plugins if not p.error]:
                with self._isolated(plugin):
                    self._gather(plugin, found)
            self._components = found
        return self._components

    def _gather(self, plugin: Plugin, into: _Components) -> None:
        hooks = {kind: hook for kind, hook in KINDS.items() if hook in plugin.hooks}
        found = {kind: _checked(kind, self._call(plugin, hook)) for kind, hook in hooks.items()}
        plugin.components = {kind: [item.name for item in items] for kind, items in found.items()}
        plugin.conflicts = []
        for kind, items in found.items():
            for component in items:
                providers = into[kind].setdefault(component.name, [])
                providers.append((component, plugin))
                if len(providers) > 1:
                    self._refuse_conflict(kind, component.name, [p for _, p in providers])

    def _refuse_conflict(self, kind: str, name: str, owners: list[Plugin]) -> None:
        message = _conflict(kind, name, owners)
        if self._strict:
            raise PluginError(message)
        for plugin in owners:
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
        taken = next((p for p in self.plugins if p.name == plugin.name and p.module is not None), None)
        if taken:
            raise PluginError(f"{taken.distribution} has a plugin of that name already. Uninstall one.")
        plugin.module = module
        self.hooks.register(module, name=plugin.name)
        self.check_hooks(module)
        plugin.hooks = tuple(sorted(caller.name for caller in self.hooks.get_hookcallers(module) or []))

    @contextmanager
    def _isolated(self, plugin: Plugin) -> Iterator[None]:
        """Remember the plugin as broken, and take it out, when the block raises."""
        try:
            yield
        except (Exception, SystemExit) as error:
            plugin.error, plugin.cause, plugin.components, plugin.conflicts = _one_line(error), error, {}, []
            if plugin.module is not None and self.hooks.get_plugin(plugin.name) is plugin.module:
                self.hooks.unregister(name=plugin.name)
            if self._strict:
                raise PluginError(_breakage(plugin)) from error


@cache
def installed() -> Registry:
    """Return the registry of everything installed, less the names in ``I2I_DISABLE_PLUGINS`` (comma-separated)."""
    disabled = [name.strip() for name in os.environ.get(DISABLE, "").split(",")]
    return Registry(disabled=disabled, strict=bool(os.environ.get(STRICT)))


def summary(component: Any) -> str:
    """Return what a component is in a few words: the start of its docstring, or what an instance enables."""
    enables = getattr(component, "enables", None)
    if isinstance(enables, str):
        return f"Weights of {component.network}, for {enables}"
    return " ".join((component.__doc__ or "").partition("\n\n")[0].split())


def _checked(kind: str, returned: Any) -> list[Any]:
    """Return what a hook returned as a list, or refuse it."""
    if not isinstance(returned, Iterable):
        what = "instances" if kind in _INSTANCES else "classes"
        raise PluginError(f"{KINDS[kind]} returned {returned!r}. Return a list of {what}.")
    contract: type[Any] = getattr(
        importlib.import_module(f"i2i.contracts.{_MODULES.get(kind, kind)}"), _CONTRACTS.get(kind, kind.capitalize())
    )
    components = list(returned)
    for component in components:
        if not _fulfils(component, contract, kind):
            what = "instance" if kind in _INSTANCES else "subclass"
            raise PluginError(f"{KINDS[kind]} returned {component!r}, which is no {what} of i2i.{contract.__name__}.")
        if not isinstance(getattr(component, "name", None), str):
            raise PluginError(f'{KINDS[kind]} returned {component.__name__}, which has no name. Set name = "...".')
    return components


def _fulfils(component: Any, contract: type[Any], kind: str) -> bool:
    if kind in _INSTANCES:
        return isinstance(component, contract)
    return isinstance(component, type) and issubclass(component, contract)


def _breakage(plugin: Plugin) -> str:
    return (
        f"Plugin '{plugin.name}' ({plugin.distribution}) is broken: {plugin.error} "
        f"Mend or uninstall it, or set {DISABLE}={plugin.name}."
    )


def _conflict(kind: str, name: str, owners: list[Plugin]) -> str:
    whose = " and ".join(f"plugin '{p.name}' of {p.distribution}" for p in owners)
    what = f"The {_TITLES.get(kind, kind)} '{name}'"
    return f"{what} is defined by {whose}. Uninstall one, or name it in {DISABLE}."


def _describe(distribution: Distribution | None) -> str:
    return f"{distribution.name} {distribution.version}" if distribution else "unknown"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
