"""The documentation matches the code."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import runpy
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from i2i import Backbone, Loss, Transfer, cli, hooks
from i2i.compute.processes import Processes
from i2i.registry import hookspecs
from i2i.training import step
from i2i.training.average import Average
from i2i.training.loader import Loader
from i2i.training.substeps import CollectingAugmentation, SubStepSchedule

ROOT = Path(__file__).parents[1]
HOOKS = {
    name: function
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if hasattr(function, f"{hooks.PROJECT}_spec")
}
NARRATED = (
    Average,
    Backbone,
    CollectingAugmentation,
    Loader,
    Loss,
    Processes,
    step.Training,
    SubStepSchedule,
    Transfer,
)
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/*/*.md", "plugins/*/*.md")
    for path in ROOT.glob(pattern)
)
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The mkdocs hook that generates pages."""
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "docs" / "generated_pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hooks_exist():
    assert {"register_backbones", "on_step"} <= HOOKS.keys()


def test_the_hooks_page_documents_every_hook_with_its_arguments_and_no_other():
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")

    headings = re.findall(r"^### (\w+\(.*\))$", page, re.MULTILINE)

    assert sorted(headings) == sorted(f"{n}({', '.join(inspect.signature(f).parameters)})" for n, f in HOOKS.items())
    assert re.findall(r"^::: i2i\.registry\.hookspecs\.(\w+)$", page, re.MULTILINE) == [
        h.partition("(")[0] for h in headings
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_implements_it(name):
    examples = [textwrap.dedent(code) for code in EXAMPLE.findall(HOOKS[name].__doc__ or "")]

    assert len(examples) == 1
    function = ast.parse(examples[0]).body[-1]
    assert isinstance(function, ast.FunctionDef)
    assert function.name == name
    assert {argument.arg for argument in function.args.args} <= set(inspect.signature(HOOKS[name]).parameters)
    compile(examples[0], name, "exec")


def test_every_command_is_on_its_page_and_every_page_in_the_navigation(generated):
    pages = generated.cli_pages()
    program = cli.program()

    assert {"run", "translate", "plugins"} <= program.commands.keys()
    assert list(pages) == ["cli/index.md", *(f"cli/{name}.md" for name in program.commands)]
    for name, command in program.commands.items():
        headings = re.findall(r"^## `(.+)`$", pages[f"cli/{name}.md"], re.MULTILINE)
        assert headings == list(_commands(command, f"i2i {name}"))
        assert f"| [`i2i {name}`]({name}.md) | " in pages["cli/index.md"]
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [path for path in pages if not re.search(rf"^ +- (i2i \w+: )?{path}$", navigation, re.MULTILINE)] == []


def test_the_pages_of_commands_show_options_of_components(generated):
    pages = generated.cli_pages()

    for flag in (
        "-o, --out PATH",
        "--backbone.channels N",
        "--transfer.judge",
        "--loss.adversarial.mode",
        "--metric.kernel.network",
    ):
        assert f"| `{flag}" in pages["cli/run.md"]
    assert "\\[" not in "".join(pages.values())


def test_generated_pages_can_be_written_for_builders_without_hooks(generated, tmp_path):
    generated.write_pages(tmp_path)

    assert (tmp_path / "cli" / "run.md").read_text(encoding="utf-8") == generated.cli_pages()["cli/run.md"]
    assert (tmp_path / "results" / "emoji-ugatit" / "ugatit.png").is_file()
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == {
        *generated.pages(),
        *generated.pictures(),
    }


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_block_of_code_names_its_language(path):
    text = (ROOT / path).read_text(encoding="utf-8")

    assert [
        opening for opening in re.findall(r"^ *```(.*)\n(?:.*\n)*?^ *```$", text, re.MULTILINE) if not opening
    ] == []


def test_the_components_page_shows_every_component(generated):
    page = generated.components_page()

    for name in ("ugatit", "cyclegan", "resnet", "patch", "branch", "none", "l1", "folder", "emoji"):
        assert f"### {name}\n" in page


def test_the_picture_of_the_front_page_is_cut_from_the_whole_one(tmp_path, monkeypatch):
    images, again = ROOT / "docs" / "images", tmp_path / "front.png"
    page = (ROOT / "docs" / "ugatit.md").read_text(encoding="utf-8")
    command = re.search(r"^python (\S+) \S+ (.*) --out docs/images/front\.png$", page, re.MULTILINE)

    assert command
    monkeypatch.setattr(sys, "argv", ["front.py", f"{images / 'run.png'}", *command[2].split(), "--out", f"{again}"])
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    runpy.run_path(f"{ROOT / command[1]}", run_name="__main__")

    with Image.open(images / "front.png") as kept, Image.open(again) as drawn:
        difference = ImageChops.difference(kept.convert("RGB"), drawn.convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 1  # another font may draw the labels


@pytest.mark.parametrize("path", ["README.md", "docs/index.md"])
def test_make_run_and_make_test_are_documented(path):
    text = (ROOT / path).read_text(encoding="utf-8")

    assert re.search(r"^make run\b", text, re.MULTILINE)
    assert re.search(r"^make test\b", text, re.MULTILINE)


def test_the_scores_of_transfers_match_the_benches():
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [a-z0-9-]+ \| .*\d\.\d{3}.*$", text, re.MULTILINE)
    benches = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "benchmarks" / "results").glob("*/bench.md"))

    assert len(rows) >= 6
    assert not [row for row in rows if row not in benches]


def test_the_figure_and_table_of_packages_match_the_layers():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [re.findall(r"\w+", layer) for layer in config["tool"]["importlinter"]["contracts"][0]["layers"]]

    floors = [
        re.findall(r">(\w+)</text>", row) for row in re.findall(r'^<g class="floor">(.*)</g>$', text, re.MULTILINE)
    ]
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)]

    assert floors == layers
    assert rows[: len(layers)] == layers


def test_the_narrative_of_the_step_names_only_existing_code():
    narrative = step.__doc__ or ""
    parts = {part.__name__: part for part in NARRATED}

    names = re.findall(r"`(\w+)\.(\w+)`", narrative)
    known = {part: {*dir(parts[part]), *parts[part].__annotations__} for part in parts}

    assert len(names) >= 15
    assert [f"{part}.{name}" for part, name in names if name not in known[part]] == []
    files = re.findall(r"`(i2i/\S+\.py)`", narrative)
    assert len(files) == 5
    assert all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("target", ["run", "test"])
def test_make_has_the_targets(target):
    assert re.search(rf"^{target}: .*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_internals_leave_out_public_names(generated):
    page = generated.internals_page(ROOT / "i2i" / "models")

    modules = {f"i2i.models.{path.stem}" for path in (ROOT / "i2i" / "models").glob("*.py")} - {"i2i.models.__init__"}
    assert re.findall(r"^::: (.+)$", page, re.MULTILINE) == sorted(modules)
    assert 'filters: ["!^_", "!^load$", "!^save$"]' in page


def test_ci_runs_what_contributors_run():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert re.findall(r"^make (.*)$", script, re.MULTILINE) == [
        'test PYTHON="$python"',
        'test ARGS="-m full"',
        "lint",
        "types",
        "imports",
        "docs",
    ]


def test_commits_run_the_same_checks_as_make():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    entries = re.findall(r"entry: \.venv/bin/(.*?)(?: --.*)?$", hooks, re.MULTILINE)

    assert entries == ["ruff check", "ruff format", "mypy", "lint-imports"]
    assert [entry for entry in entries if f"\t$(BIN)/{entry}" not in makefile] == []


def test_warnings_fail_the_documentation():
    recipe = re.search(r"^docs: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert recipe
    assert recipe[1].split() == ["$(BIN)/mkdocs", "build", "--strict"]  # --quiet would hide warnings from the count


def _commands(command: Any, path: str) -> Iterator[str]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}")
