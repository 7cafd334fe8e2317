"""``i2i plugins``: installed plugins, their components, and their errors."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from i2i.cli.help import Listing
from i2i.cli.output import JSON, open_console, print_json
from i2i.errors import UnknownComponentError, did_you_mean
from i2i.registry.registry import Plugin, Registry, installed, summary

app = typer.Typer(cls=Listing, help="List plugins, their hooks and components.")


@app.command("list")
def list_(json: JSON = False) -> None:
    """Show every plugin with its distribution, version, hooks and components; broken ones in red."""
    plugins = _loaded().plugins
    if json:
        print_json([_entry(plugin) for plugin in plugins])
        return
    console = open_console(soft_wrap=False)
    table = Table("plugin", "distribution", "hooks", "components", box=None, padding=(0, 2, 0, 0))
    for plugin in plugins:
        row = (plugin.name, plugin.distribution, ", ".join(plugin.hooks), _components(plugin))
        table.add_row(*map(escape, row), style="red" if _problems(plugin) else "")
    console.print(table)
    for problem in dict.fromkeys(problem for plugin in plugins for problem in _problems(plugin)):
        _complain(problem, console)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The plugin.")], json: JSON = False) -> None:
    """Show one plugin's components with their options."""
    registry, console = _loaded(), open_console(soft_wrap=False)
    plugin = _find(registry, name)
    if json:
        options = [
            {"kind": kind, "name": one.name, "summary": summary(one), "options": _described(one)}
            for kind, one in registry.provided_by(plugin)
        ]
        print_json({**_entry(plugin), "components": options})
        return
    console.print(f"[bold]{escape(plugin.name)}[/] of {escape(plugin.distribution)}", highlight=False)
    for problem in _problems(plugin):
        _complain(problem, console)
    for kind, component in registry.provided_by(plugin):
        title = f"\n[bold]{kind} '{escape(component.name)}'[/]: {escape(summary(component))}"
        console.print(title, highlight=False)
        console.print(_options(component))


def _loaded() -> Registry:
    registry = installed()
    registry.load_components()
    return registry


def _find(registry: Registry, name: str) -> Plugin:
    plugins = {plugin.name: plugin for plugin in registry.plugins}
    if name not in plugins:
        near = did_you_mean(name, plugins)
        raise UnknownComponentError(f"There is no plugin '{name}'.{near} Known: {', '.join(plugins)}.")
    return plugins[name]


def _options(component: type[Any]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, description in _described(component).items():
        table.add_row(name, escape(description))
    return table


def _described(component: type[Any]) -> dict[str, str]:
    """Return the options of a component with their meaning."""
    fields = component.Config.model_fields if hasattr(component, "Config") else {}  # metrics have none
    return {name: info.description or "" for name, info in fields.items()}


def _entry(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "hooks": plugin.hooks,
        "components": {kind: names for kind, names in plugin.components.items() if names},
        "problems": _problems(plugin),
    }


def _components(plugin: Plugin) -> str:
    if plugin.error:
        return "broken"
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in plugin.components.items() if names)


def _complain(problem: str, console: Console) -> None:
    console.print(f"[red]{escape(problem)}[/]", soft_wrap=True, highlight=False)


def _problems(plugin: Plugin) -> list[str]:
    broken = f"Plugin '{plugin.name}' ({plugin.distribution}) is broken: {plugin.error}"
    return [broken] if plugin.error else plugin.conflicts
