"""``i2i plugins``: what is installed, what it adds, and what is broken."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from i2i.errors import UnknownComponentError, did_you_mean
from i2i.plugins import Plugin, installed

app = typer.Typer(help="List plugins, their hooks and components.", invoke_without_command=True, no_args_is_help=False)


@app.callback()
def main(context: typer.Context) -> None:
    """List plugins unless a command is named."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_() -> None:
    """Show every plugin with its distribution, version, hooks and components; broken ones in red."""
    registry = installed()
    registry.load_components()
    table = Table("plugin", "distribution", "hooks", "components", box=None, padding=(0, 2, 0, 0))
    for plugin in registry.plugins:
        table.add_row(plugin.name, plugin.distribution, ", ".join(plugin.hooks), _components(plugin), style=_style(plugin))
    console = Console()
    console.print(table)
    for plugin in registry.plugins:
        for problem in [plugin.error] * bool(plugin.error) + plugin.conflicts:
            console.print(f"[red]{plugin.name} ({plugin.distribution}): {escape(problem)}[/]")


@app.command()
def show(name: Annotated[str, typer.Argument(help="The plugin.")]) -> None:
    """Show one plugin's components with their options."""
    registry = installed()
    registry.load_components()
    found = {plugin.name: plugin for plugin in registry.plugins}
    if name not in found:
        raise UnknownComponentError(f"There is no plugin '{name}'.{did_you_mean(name, found)} Known: {', '.join(found)}.")
    plugin, console = found[name], Console()
    console.print(f"[bold]{plugin.name}[/] of {plugin.distribution}" + (f": [red]{plugin.error}[/]" if plugin.error else ""))
    for kind, names in plugin.components.items():
        for component in names:
            console.print(_describe(kind, component))


def _describe(kind: str, name: str) -> Table:
    component = getattr(installed(), kind)(name)
    summary = (component.__doc__ or "").splitlines()[0]
    table = Table("option", "meaning", title=f"{kind} '{name}': {escape(summary)}", title_justify="left", box=None)
    for option, info in getattr(component, "Config", None) and component.Config.model_fields.items() or ():
        table.add_row(option, escape(info.description or ""))
    return table


def _components(plugin: Plugin) -> str:
    if plugin.error:
        return "broken"
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in plugin.components.items() if names)


def _style(plugin: Plugin) -> str:
    return "red" if plugin.error or plugin.conflicts else ""
