"""The registry: plugins from entry points, and their components by contract and name; broken plugins are isolated."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint
from typing import Any, TypeVar, cast

import pluggy

from i2i.errors import PluginError, UnknownComponentError, did_you_mean
from i2i.hooks import PROJECT
from i2i.registry import hookspecs
from i2i.registry.isolation import Escape, contained, open_streams
from i2i.registry.kinds import KINDS, Kind, kind_of

DISABLE = "I2I_DISABLE_PLUGINS"
STRICT = "I2I_STRICT_PLUGINS"

C = TypeVar("C")
_Components = dict[str, dict[str, list[tuple[Any, "Plugin"]]]]


@dataclass
class Plugin:
    """An entry point with its distribution, hooks, components and, if broken, its error.

    Attributes:
        name: The entry point's name.
        distribution: Name and version of its distribution, such as ``"i2i 0.1.0"``.
        hooks: The hooks it implements, sorted.
        components: Kind to registered names.
        error: One line if it is broken, else "".
        conflicts: One message per name that another plugin also defines.
        module: The object with the hooks; None if it could not be imported.
        cause: The exception, if it is broken.
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
    """All plugins and the components they register; components are imported at the first look-up.

    Args:
        entry_points: The plugins' entry points; by default all installed in the group ``i2i``.
        disabled: Names of plugins to skip; by default those in ``I2I_DISABLE_PLUGINS``, comma-separated.
        strict: Raise for a broken plugin instead of recording the error; on by default if ``I2I_STRICT_PLUGINS``
            is set.

    Attributes:
        strict: Whether a broken plugin is an error, and so is a listener that raises.
    """

    def __init__(
        self,
        entry_points: Iterable[EntryPoint] | None = None,
        disabled: Iterable[str] | None = None,
        strict: bool | None = None,
    ) -> None:
        self.hooks = pluggy.PluginManager(PROJECT)
        self.hooks.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self.strict = bool(os.environ.get(STRICT)) if strict is None else strict
        self._components: _Components | None = None
        left_out = set(_disabled() if disabled is None else disabled)
        self.silenced: set[str] = set()
        available = self._discover() if entry_points is None else entry_points
        describe = cache(_describe)  # reading metadata is slow, and i2i's own plugins share theirs
        for entry_point in sorted(available, key=lambda e: e.name):
            if entry_point.name not in left_out:
                self._load(entry_point, describe(entry_point.dist))

    def add(self, module: object, name: str) -> None:
        """Register a plugin that is not installed, such as one from a test or notebook."""
        plugin = Plugin(name, "this process")
        self.plugins.append(plugin)
        self._components = None
        with self._isolated(plugin):
            self._register(module, plugin)

    def get(self, contract: type[C], name: str) -> type[C]:
        """Return a component class by contract and name, such as ``get(Backbone, "ugatit")``.

        Raises:
            UnknownComponentError: No plugin provides it; the message suggests the nearest.
            PluginError: Two plugins do.
        """
        return cast("type[C]", self._find(kind_of(contract), name))

    def get_instance(self, contract: type[C], name: str) -> C:
        """Return a component that plugins register as an instance, such as ``get_instance(Group, "robot")``.

        Raises:
            UnknownComponentError: No plugin provides it; the message suggests the nearest.
            PluginError: Two plugins do.
        """
        return cast(C, self._find(kind_of(contract), name))

    def names(self, contract: type[Any]) -> list[str]:
        """Return the names of all components of a contract, sorted, without those that two other plugins define."""
        kind = kind_of(contract)
        return sorted(name for name in self._all()[kind.name] if len(self._providers(kind, name)) == 1)

    def provider(self, contract: type[Any], name: str) -> str:
        """Return the name and version of the distribution that provides a component."""
        kind = kind_of(contract)
        self._find(kind, name)
        return self._providers(kind, name)[0][1].distribution

    def groups_of(self, dataset: str) -> list[str]:
        """Return the names of the groups that extend a data set, sorted, with those that two plugins define."""
        groups = self._all()["group"].items()
        return sorted(name for name, all_ in groups if any(group.extends == dataset for group, _ in all_))

    def provided_by(self, plugin: Plugin) -> list[tuple[str, Any]]:
        """Return the kind and class of every component of a plugin, even if another plugin defines it too."""
        everything = [(kind, pair) for kind, named in self._all().items() for pairs in named.values() for pair in pairs]
        return [(kind, component) for kind, (component, owner) in everything if owner is plugin]

    def load_components(self) -> None:
        """Import all components now, so that ``plugins`` is complete, with errors."""
        self._all()

    def refuse_broken(self) -> None:
        """Raise for broken plugins from now on, instead of working without them.

        Raises:
            PluginError: A plugin is already broken.
        """
        self.strict = True
        self._components = None  # so that names defined by two plugins are refused, too
        for plugin in self.plugins:
            if plugin.error:
                raise PluginError(_breakage(plugin)) from plugin.cause

    def check_hooks(self, module: object) -> None:
        """Raise if a registered plugin or listener has an unknown hook.

        Raises:
            PluginError: It does; the message names the hook and suggests the nearest.
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
            with self._isolated(plugin), _only_new_commands(app):
                self._call(plugin, "register_commands", app=app)

    def _find(self, kind: Kind, name: str) -> Any:
        providers = self._providers(kind, name)
        if len(providers) == 1:
            return providers[0][0]
        if providers:
            raise PluginError(_conflict(kind, name, [plugin for _, plugin in providers]))
        known = sorted(name for name in self._all()[kind.name] if len(self._providers(kind, name)) == 1)
        broken = "".join(f" Plugin '{p.name}' ({p.distribution}) is broken: {p.error}" for p in self.plugins if p.error)
        near = did_you_mean(name, known)
        raise UnknownComponentError(
            f"There is no {kind.title} '{name}'.{near} Known: {', '.join(known) or 'none'}.{broken}"
        )

    def _providers(self, kind: Kind, name: str) -> list[tuple[Any, Plugin]]:
        """Return the component of a name with its plugin; several if plugins other than i2i's collide.

        ``distribution:name`` chooses between components of one name; without it, i2i's own is meant.
        """
        named = self._all()[kind.name]
        maker, colon, rest = name.partition(":")
        if colon and name not in named:
            return [pair for pair in named.get(rest, []) if _maker(pair[1]) == maker][:1]
        providers = named.get(name, [])
        ours = [pair for pair in providers if _maker(pair[1]) == PROJECT]
        return ours if len(ours) == 1 else providers

    def _all(self) -> _Components:
        if self._components is None:
            components: _Components = {kind.name: {} for kind in KINDS}
            for plugin in [p for p in self.plugins if not p.error]:
                with self._isolated(plugin):
                    self._gather(plugin, components)
            self._components = components
        return self._components

    def _gather(self, plugin: Plugin, into: _Components) -> None:
        kinds = [kind for kind in KINDS if kind.hook in plugin.hooks]
        checked = {kind: kind.check(self._call(plugin, kind.hook)) for kind in kinds}
        plugin.components = {kind.name: [item.name for item in items] for kind, items in checked.items()}
        plugin.conflicts = []
        for kind, items in checked.items():
            for component in items:
                providers = into[kind.name].setdefault(component.name, [])
                providers.append((component, plugin))
                if len(providers) > 1:
                    self._refuse_conflict(kind, component.name, [p for _, p in providers])

    def _refuse_conflict(self, kind: Kind, name: str, owners: list[Plugin]) -> None:
        message = _conflict(kind, name, owners)
        if self.strict:
            raise PluginError(message)
        for plugin in owners:
            plugin.conflicts.append(message)

    def _call(self, plugin: Plugin, hook: str, **arguments: Any) -> Iterable[Any]:
        others = [module for name, module in self.hooks.list_name_plugin() if name != plugin.name]
        results = self.hooks.subset_hook_caller(hook, others)(**arguments)
        return results[0] if results else ()

    def _discover(self) -> Iterator[EntryPoint]:
        """Yield the entry points of all installed distributions; one whose list is malformed counts as broken."""
        names = dict.fromkeys(map(_name_of, filter(_may_have_plugins, importlib.metadata.distributions())))
        for name in names:
            first = next(iter(Distribution.discover(name=name)), None)  # on sys.path, as for imports
            try:
                yield from first.entry_points.select(group=PROJECT) if first else ()
            except Exception as error:  # whatever the parser makes of it
                broken = Plugin(
                    name, name, error=f"its entry_points.txt is malformed ({_one_line(error)}).", cause=error
                )
                self.plugins.append(broken)
                if self.strict:
                    raise PluginError(_breakage(broken)) from error

    def _load(self, entry_point: EntryPoint, distribution: str) -> None:
        plugin = Plugin(entry_point.name, distribution)
        self.plugins.append(plugin)
        with self._isolated(plugin):
            with open_streams():
                module = entry_point.load()
            self._register(module, plugin)

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
        """If the block raises, mark the plugin as broken and remove it."""
        try:
            with contained():
                yield
        except Exception as error:
            plugin.error, plugin.cause, plugin.components, plugin.conflicts = _one_line(error), error, {}, []
            if plugin.module is not None and self.hooks.get_plugin(plugin.name) is plugin.module:
                self.hooks.unregister(name=plugin.name)
            if self.strict:
                raise PluginError(_breakage(plugin)) from error


@contextmanager
def _only_new_commands(app: Any) -> Iterator[None]:
    """Let the block add commands to a typer application, and undo all that it adds if it replaces one.

    Raises:
        PluginError: It replaces a command, a command group or the options of ``i2i`` itself.
    """
    lists = (app.registered_commands, app.registered_groups)
    before, callback, names = [list(one) for one in lists], app.registered_callback, _command_names(app)
    try:
        yield
        after = _command_names(app)
        taken = next((name for name in after if after.count(name) > 1), None)
        if taken is not None:
            raise PluginError(f"register_commands adds the command '{taken}', which i2i has already. Rename it.")
        if app.registered_callback is not callback or not set(names) <= set(after):
            raise PluginError("register_commands replaces what i2i itself does. Only add commands.")
    except BaseException:
        for one, kept in zip(lists, before, strict=True):
            one[:] = kept
        app.registered_callback = callback
        raise


def _command_names(app: Any) -> list[str]:
    """Return the names of the commands and command groups of a typer application."""
    commands = [one.name or one.callback.__name__.lower().replace("_", "-") for one in app.registered_commands]
    groups = [one.name or getattr(one.typer_instance.info, "name", None) for one in app.registered_groups]
    return [*commands, *(name for name in groups if isinstance(name, str))]


@cache
def installed() -> Registry:
    """Return the registry of all installed plugins, built once per process."""
    return Registry()


def summary(component: Any) -> str:
    """Describe a component in a few words, from its docstring or from the use of an instance."""
    enables = getattr(component, "enables", None)
    if isinstance(enables, str):
        return f"Weights of {component.network}, for {enables}"
    return " ".join((component.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")


def _breakage(plugin: Plugin) -> str:
    return (
        f"Plugin '{plugin.name}' ({plugin.distribution}) is broken: {plugin.error} "
        f"Mend or uninstall it, or set {DISABLE}={plugin.name}."
    )


def _conflict(kind: Kind, name: str, owners: list[Plugin]) -> str:
    whose = " and ".join(f"plugin '{p.name}' of {p.distribution}" for p in owners)
    choice = " or ".join(f"{_maker(p)}:{name}" for p in owners)
    return f"The {kind.title} '{name}' is defined by {whose}. Name {choice}, uninstall one, or name it in {DISABLE}."


def _maker(plugin: Plugin) -> str:
    """Return the name of a plugin's distribution without its version."""
    return plugin.distribution.partition(" ")[0]


def _disabled() -> list[str]:
    return [name.strip() for name in os.environ.get(DISABLE, "").split(",")]


def _describe(distribution: Distribution | None) -> str:
    return f"{distribution.name} {distribution.version}" if distribution else "unknown"


def _may_have_plugins(distribution: Distribution) -> bool:
    """Return whether ``entry_points.txt`` mentions i2i; it takes a tenth of the time that the metadata takes."""
    try:
        return PROJECT in (distribution.read_text("entry_points.txt") or "")
    except Exception:  # no text
        return False


def _name_of(distribution: Distribution) -> str:
    try:
        return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()
    except Exception:  # metadata that cannot be read
        return "unknown"


def _one_line(error: BaseException) -> str:
    if isinstance(error, Escape):
        error = error.cause
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
