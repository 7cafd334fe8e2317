"""Pages that mkdocs generates: the command line, components, internals, and the results of benches."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic.fields import FieldInfo

import i2i
from i2i import cli
from i2i.cli.help import panels, record
from i2i.registry.kinds import KINDS
from i2i.registry.registry import Registry, summary

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CLI_INTRODUCTION = """# Command line

This page lists all commands with all options, as `i2i COMMAND --help-all` does; `--help`, or `-h`, shows the options
that most people need. It is generated from the code. `i2i run`, `train`, `transfer` and `evaluate` also take the
options of the components that you name: `i2i run --backbone cyclegan --help-all` shows CycleGAN's. This page shows
those of the default components; [Components](components.md) lists the options of all components.

In place of a value, `N` is a whole number, `X` a number, `TEXT,...` any number of texts with commas between them, and
`JSON` a table such as `{"man": [75, 15]}`.

Exit status: 0 success; 1 error in i2i or a plugin; 2 invalid input; 130 stopped by Ctrl-C.
"""

COMPONENTS_INTRODUCTION = """# Components

This page lists the components of the installed plugins, with their options. It is generated from the code. An option
`x` of a backbone is `--backbone.x` on the command line and `x` in the table `[backbone]` of a TOML file. The same
holds for generators, discriminators, transfers and data sets (`--data.x`). The weight of a loss is `--loss.NAME`, its
other options are `--loss.NAME.x`. Options of a metric are `--metric.NAME.x`. A preset overrides the defaults below,
and options that you give override the preset.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "cli.md", content=cli_page()))
    files.append(File.generated(config, "components.md", content=components_page()))
    for package in packages():
        files.append(File.generated(config, f"internals/{package.name}.md", content=internals_page(package)))
    for folder in sorted(path for path in RESULTS.iterdir() if path.is_dir()):
        if (folder / "bench.md").is_file():  # other folders hold pictures of a page written by hand
            files.append(File.generated(config, f"results/{folder.name}/index.md", content=results_page(folder)))
        for picture in sorted(folder.glob("*.png")):
            files.append(File.generated(config, f"results/{folder.name}/{picture.name}", abs_src_path=str(picture)))
    return files


def packages() -> list[Path]:
    """Return the folder of every room of the core and of every plugin."""
    found = [*(ROOT / "i2i").iterdir(), *(ROOT / "plugins").iterdir()]
    return sorted(path for path in found if (path / "__init__.py").is_file())


def internals_page(package: Path) -> str:
    """Return every module of a package; public names are left out, since the reference has them."""
    parent = package.parent if package.parent.name == "plugins" else ROOT
    modules = [path for path in sorted(package.rglob("*.py")) if path.name != "__init__.py"]
    names = [".".join(path.relative_to(parent).with_suffix("").parts) for path in modules]
    return "\n".join([f"# {package.name}\n", *(_module(name) for name in names)])


def public_names() -> dict[str, set[str]]:
    """Return module to the names that ``i2i`` and ``i2i.nn`` export from it."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "i2i" / "__init__.pyi", ROOT / "i2i" / "nn" / "__init__.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                module = f"i2i.{node.module}" if node.level else str(node.module)
                found.setdefault(module, set()).update(alias.name for alias in node.names)
    return found


def results_page(folder: Path) -> str:
    """Return what a bench has found, with its title."""
    text = (folder / "bench.md").read_text(encoding="utf-8")
    return text.replace("# Bench\n", f"# Bench: {folder.name}\n", 1)


def cli_page() -> str:
    """Return the command line as Markdown; with the options of the default components."""
    program = cli.program(["run", "train", "transfer", "evaluate"])
    return "\n".join([CLI_INTRODUCTION, *_command(program, "i2i")])


def components_page() -> str:
    """Return every component with its options as Markdown."""
    registry = Registry()
    lines = [COMPONENTS_INTRODUCTION]
    for kind in KINDS:
        contract = getattr(i2i, kind.contract)
        lookup = registry.get_instance if kind.instances else registry.get
        lines.append(f"## {kind.name.capitalize()}\n")
        for name in registry.names(contract):
            lines += _component(kind.name, lookup(contract, name), registry.provider(contract, name))
    return "\n".join(lines)


def _module(name: str) -> str:
    """Return the entry of a module, without its private and its public names."""
    filters = ["!^_", *(f"!^{public}$" for public in sorted(public_names().get(name, ())))]
    return f"::: {name}\n    options:\n      filters: {json.dumps(filters)}\n"


def _command(command: Any, path: str) -> Iterator[str]:
    context = command.context_class(command, info_name=path)
    yield f"## `{path}`\n\n{_prose(inspect.cleandoc(command.help or ''))}\n"
    yield f"```text\n{command.get_usage(context)}\n```\n"
    for panel, parameters in panels(command, context).items():
        yield f"**{panel}**\n"
        records = (record(parameter, context) for parameter in parameters)
        yield _table(("", "meaning"), [(f"`{flags}`", meaning) for flags, meaning in records])
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, f"{path} {name}")


def _component(kind: str, component: type[Any], provider: str) -> Iterator[str]:
    told = _prose(summary(component)).rstrip(".")
    yield f"### {component.name}\n\n{told}. From {provider}: `{component.__module__}`.\n"
    if kind == "backbone":
        yield f"Objective: `{json.dumps(component.objective)}`.\n\nPresets: `{json.dumps(component.presets)}`.\n"
    fields: dict[str, FieldInfo] = getattr(getattr(component, "Config", None), "model_fields", {})
    if fields:
        rows = [(f"`{name}`", _default(info), info.description or "") for name, info in fields.items()]
        yield _table(("option", "default", "meaning"), rows)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return "" if info.default is None else f"`{info.get_default(call_default_factory=True)}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([*cells, _prose(text)] for *cells, text in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _prose(text: str) -> str:
    """Turn rich's escapes and reStructuredText's double backticks into Markdown; keep ``<x>`` from being HTML."""
    plain = text.replace("\\[", "[").replace("``", "`")
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", plain)
