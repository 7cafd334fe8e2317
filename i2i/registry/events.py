"""Events of a run, and naming the plugin behind an exception."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from types import ModuleType
from typing import Any

import pluggy

from i2i.errors import I2IError, PluginError
from i2i.registry.isolation import Escape, contained
from i2i.registry.kinds import kind_of
from i2i.registry.registry import DISABLE, Plugin, Registry

_LOGGER = logging.getLogger(__name__)


@contextmanager
def listening(registry: Registry, listeners: Sequence[object]) -> Iterator[None]:
    """Send events in the block to objects with hookimpls.

    Raises:
        PluginError: A listener has an unknown hook, or one with wrong arguments.
    """
    registry.silenced.clear()
    try:
        for listener in listeners:
            _listen(registry, listener)
        yield
    finally:
        for listener in filter(registry.hooks.is_registered, listeners):
            registry.hooks.unregister(listener)


def announce(registry: Registry, event: str, **details: Any) -> None:
    """Call a hook of every plugin and listener; one that raises does not keep the event from the others.

    A plugin that raises is switched off, with a warning, until the listening ends.

    Raises:
        PluginError: A plugin raised, and the registry is strict; the message names it. Exceptions of other listeners
            propagate.
    """
    hook = getattr(registry.hooks.hook, event)
    names = dict(registry.hooks.list_name_plugin())
    for listener in dict.fromkeys(one.plugin for one in reversed(hook.get_hookimpls())):
        plugin = next((p for p in registry.plugins if p.module is listener), None)
        if plugin is None or plugin.name not in registry.silenced:
            others = [one for one in names.values() if one is not None and one is not listener]
            with _switching_off(registry, plugin, event):
                registry.hooks.subset_hook_caller(event, others)(**details)


@contextmanager
def _switching_off(registry: Registry, plugin: Plugin | None, event: str) -> Iterator[None]:
    def switch_off(error: Exception) -> None:
        blame = _blame(named, event, error)
        if registry.strict:
            raise PluginError(blame) from error
        registry.silenced.add(named.name)
        _LOGGER.warning("%s It is switched off for the rest of the run.", blame)

    if plugin is None:
        yield
        return
    named = plugin
    with _handling(switch_off):
        yield


@contextmanager
def naming(registry: Registry) -> Iterator[None]:
    """Name the plugin whose code raised in the block, if it is not one of i2i's own.

    Raises:
        PluginError: A component of a plugin raised an error other than i2i's own, or tried to end the program.
    """

    def name(error: Exception) -> None:
        named = blamed(registry, error)
        if named is not None:
            raise named from error
        if isinstance(error, Escape):
            raise error.cause from None
        raise error

    with _handling(name):
        yield


@contextmanager
def blaming(registry: Registry, contract: type[Any], name: str) -> Iterator[None]:
    """Name the plugin that provides a component if the block raises.

    Raises:
        PluginError: The component raised an error other than i2i's own.
    """

    def blame(error: Exception) -> None:
        kind = kind_of(contract)
        plugin = next(p for p in registry.plugins if name in p.components.get(kind.name, ()))
        raise PluginError(_blame(plugin, f"{kind.title} '{name}'", error)) from error

    with _handling(blame):
        yield


@contextmanager
def _handling(handle: Callable[[Exception], None]) -> Iterator[None]:
    """Pass what a plugin's code raises in the block, or ends the program with, to ``handle``; not i2i's own errors."""
    try:
        with contained():
            yield
    except I2IError:
        raise
    except Exception as error:
        handle(error)


def blamed(registry: Registry, error: Exception) -> PluginError | None:
    """Return an error that names the plugin whose code raised another; None if that was not a plugin's code."""
    plugin, where = _culprit(registry, error)
    return None if plugin is None else PluginError(_blame(plugin, where, error))


def _listen(registry: Registry, listener: object) -> None:
    try:
        registry.hooks.register(listener)
        registry.check_hooks(listener)
    except (pluggy.PluginValidationError, PluginError) as error:
        reason = " ".join(str(error).split())
        raise PluginError(f"The listener {type(listener).__name__} cannot be used: {reason}") from error


def _culprit(registry: Registry, error: Exception) -> tuple[Plugin | None, str]:
    """Return the plugin whose code is innermost in the traceback of an error, and the function, if it is not i2i's."""
    plugins = {_package(p.module): p for p in registry.plugins if p.module and not p.distribution.startswith("i2i ")}
    cause = error.cause if isinstance(error, Escape) else error
    for frame, _ in reversed(list(walk_tb(cause.__traceback__))):
        plugin = plugins.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        if plugin is not None:
            return plugin, frame.f_code.co_qualname
    return None, ""


def _package(module: object) -> str:
    """Return the package that the code of a plugin is in."""
    name = module.__name__ if isinstance(module, ModuleType) else type(module).__module__
    return name.partition(".")[0]


def _blame(plugin: Plugin, where: str, error: Exception) -> str:
    cause = error.cause if isinstance(error, Escape) else error
    reason = ": ".join(filter(None, (type(cause).__name__, str(cause))))
    return (
        f"Plugin '{plugin.name}' ({plugin.distribution}) failed in {where}: {reason}. "
        f"Mend or uninstall it, or set {DISABLE}={plugin.name}."
    )
