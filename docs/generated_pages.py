"""Pages generated from the code: the command line, components, internals, and the results of benches.

MkDocs calls `on_files`. Builders without such hooks, like Zensical, read the pages from files that are written first:

    python docs/generated_pages.py docs
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import sys
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
EXAMPLES = ROOT / "examples" / "commands"
CLI_INTRODUCTION = """# Command line

These pages list all commands with all options, as `i2i COMMAND --help-all` does; `--help`, or `-h`, shows the options
that most people need. They are generated from the code. `i2i run`, `train`, `transfer` and `evaluate` also take the
options of the components that you name: `i2i run --backbone cyclegan --help-all` shows CycleGAN's. These pages show
those of the default components; [Components](../components.md) lists the options of all components.

In place of a value, `N` is a whole number, `X` a number, `TEXT,...` any number of texts with commas between them, and
`JSON` a table such as `{"man": [75, 15]}`.

Each page begins with an example: a command as typed, what it printed, and what came of it. The examples use images and
a model that anybody can make:

```bash
i2i data export emoji --out faces    # drawings of people by two artists, in folders
i2i run                              # a trained model, in runs/emoji-ugatit-branch: the example of i2i run
```

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
    """Add the generated pages and their pictures."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for path, picture in pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files


def write_pages(folder: Path) -> None:
    """Write the generated pages and their pictures into a folder."""
    for path in (*pages(), *pictures()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        (folder / path).write_text(text, encoding="utf-8")
    for path, picture in pictures().items():
        shutil.copyfile(picture, folder / path)


def pages() -> dict[str, str]:
    """Return the generated pages, as path to Markdown."""
    return {
        **cli_pages(),
        "components.md": components_page(),
        **{f"internals/{package.name}.md": internals_page(package) for package in packages()},
        **{f"results/{bench.parent.name}/index.md": results_page(bench.parent) for bench in RESULTS.glob("*/bench.md")},
    }


def pictures() -> dict[str, Path]:
    """Return the pictures of results, as path in the documentation to path on disk."""
    return {f"results/{path.parent.name}/{path.name}": path for path in sorted(RESULTS.glob("*/*.png"))}


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


def cli_pages() -> dict[str, str]:
    """Return a page per command, with the options of the default components, and one that lists the commands."""
    program = cli.program(["run", "train", "transfer", "evaluate"])
    context = program.context_class(program, info_name="i2i")
    rows = [(f"[`i2i {name}`]({name}.md)", _summary(command)) for name, command in program.commands.items()]
    overview = [CLI_INTRODUCTION, _table(("command", "meaning"), rows), "## `i2i`\n", *_options(program, context)]
    inner = {
        f"cli/{name}.md": "\n".join([f"# i2i {name}\n", _example(name), *_command(command, f"i2i {name}")])
        for name, command in program.commands.items()
    }
    return {"cli/index.md": "\n".join(overview), **inner}


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
    yield f"```bash\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield from _options(command, context)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, f"{path} {name}")


def _example(name: str) -> str:
    """Return the example of a command, with the links of a page in ``cli/``."""
    return (EXAMPLES / f"{name}.md").read_text(encoding="utf-8").replace("../../docs/", "../")


def _options(command: Any, context: Any) -> Iterator[str]:
    for panel, parameters in panels(command, context).items():
        yield f"**{panel}**\n"
        records = (record(parameter, context) for parameter in parameters)
        yield _table(("", "meaning"), [(f"`{flags}`", meaning) for flags, meaning in records])


def _summary(command: Any) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")


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


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
