"""Events of a run, and naming the plugin behind an exception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import pluggy

from i2i.errors import I2IError, PluginError
from i2i.registry.kinds import kind_of
from i2i.registry.registry import DISABLE, Plugin, Registry


@contextmanager
def listening(registry: Registry, listeners: Sequence[object]) -> Iterator[None]:
    """Send events in the block to objects with hookimpls.

    Raises:
        PluginError: A listener has an unknown hook, or one with wrong arguments.
    """
    try:
        for listener in listeners:
            _listen(registry, listener)
        yield
    finally:
        for listener in filter(registry.hooks.is_registered, listeners):
            registry.hooks.unregister(listener)


def announce(registry: Registry, event: str, **details: Any) -> None:
    """Call a hook of every plugin and listener.

    Raises:
        PluginError: A plugin raised; the message names it. Exceptions of other listeners propagate.
    """
    hook = getattr(registry.hooks.hook, event)
    try:
        hook(**details)
    except I2IError:
        raise
    except Exception as error:
        module = _culprit(hook, error)
        plugin = next((p for p in registry.plugins if module is not None and p.module is module), None)
        if plugin is None:
            raise
        raise PluginError(_blame(plugin, event, error)) from error


@contextmanager
def blaming(registry: Registry, contract: type[Any], name: str) -> Iterator[None]:
    """Name the plugin that provides a component if the block raises.

    Raises:
        PluginError: The component raised an error other than i2i's own.
    """
    try:
        yield
    except I2IError:
        raise
    except Exception as error:
        kind = kind_of(contract)
        plugin = next(p for p in registry.plugins if name in p.components.get(kind.name, ()))
        raise PluginError(_blame(plugin, f"{kind.title} '{name}'", error)) from error


def _listen(registry: Registry, listener: object) -> None:
    try:
        registry.hooks.register(listener)
        registry.check_hooks(listener)
    except (pluggy.PluginValidationError, PluginError) as error:
        reason = " ".join(str(error).split())
        raise PluginError(f"The listener {type(listener).__name__} cannot be used: {reason}") from error


def _culprit(hook: pluggy.HookCaller, error: Exception) -> object:
    """Return the plugin whose hook implementation raised the error."""
    passed = {frame.f_code for frame, _ in walk_tb(error.__traceback__)}
    implementations = hook.get_hookimpls()
    return next((i.plugin for i in implementations if getattr(i.function, "__code__", None) in passed), None)


def _blame(plugin: Plugin, where: str, error: Exception) -> str:
    return (
        f"Plugin '{plugin.name}' ({plugin.distribution}) failed in {where}: {type(error).__name__}: {error}. "
        f"Mend or uninstall it, or set {DISABLE}={plugin.name}."
    )
