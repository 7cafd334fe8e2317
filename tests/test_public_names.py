"""Plugins, examples and documentation use only public names, and every public name is documented."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import i2i
import i2i.nn
import i2i.testing

ROOT = Path(__file__).parents[1]
PACKAGES = {"i2i": i2i, "i2i.nn": i2i.nn, "i2i.testing": i2i.testing}
PUBLIC = {name: frozenset(package.__all__) for name, package in PACKAGES.items()}
PUBLIC["i2i"] |= {"nn", "testing", "__version__"}
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
MODULES = sorted(path for folder in ("plugins", "examples") for path in (ROOT / folder).rglob("*.py"))


def deep_uses(code: str) -> list[str]:
    """Return the names of i2i that a program uses and that are not public, in order."""
    return [use for node in ast.walk(ast.parse(code)) for use in _uses(node) if not _is_public(use)]


def blocks(text: str) -> list[str]:
    """Return the Python examples of a page or of docstrings, except those that include a file."""
    examples = [textwrap.dedent(code) for _, code in BLOCK.findall(text)]
    return [code for code in examples if not code.startswith("--8<--")]


def blocks_of(paths: list[Path]) -> list[tuple[str, str]]:
    """Return the file and code of every Python example."""
    return [(_name(path), code) for path in paths for code in blocks(path.read_text(encoding="utf-8"))]


def test_plugins_and_examples_use_only_public_names():
    uses = {(_name(path), use) for path in MODULES for use in deep_uses(path.read_text(encoding="utf-8"))}

    assert {name.split("/")[0] for name in map(_name, MODULES)} == {"plugins", "examples"}
    assert sorted(uses) == []


def test_examples_in_the_pages_use_only_public_names():
    examples = blocks_of(PAGES)

    assert len(examples) >= 6
    assert [(name, use) for name, code in examples for use in deep_uses(code)] == []


def test_examples_in_docstrings_use_only_public_names():
    examples = blocks_of(sorted((ROOT / "i2i").rglob("*.py")))

    assert len(examples) >= 15
    assert [(name, use) for name, code in examples for use in deep_uses(code)] == []


@pytest.mark.parametrize(
    ("code", "deep"),
    [
        ("from i2i.models.model import Model", ["i2i.models.model.Model"]),
        ("from i2i.nn.norms import LayerInstanceNorm", ["i2i.nn.norms.LayerInstanceNorm"]),
        ("import i2i.runs.run", ["i2i.runs.run"]),
        ("from i2i import registry", ["i2i.registry"]),
        ("import i2i\ni2i.lode('x')", ["i2i.lode"]),
        ("import i2i\ni2i.training.step", ["i2i.training.step", "i2i.training"]),
        ("if TYPE_CHECKING:\n    from i2i.hooks import hookimpl", ["i2i.hooks.hookimpl"]),
        ("import i2i, i2i.nn\nfrom i2i import Model, nn\nfrom i2i.testing import Noise\ni2i.load('x').size", []),
        ("from i2i_losses.terms import Cycle\nfrom .i2i import other", []),
    ],
)  # fmt: skip
def test_deep_uses_are_found(code, deep):
    assert deep_uses(code) == deep


def test_every_public_name_has_one_entry_in_the_reference():
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    entries = [entry for page in pages for entry in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.M)]

    public = [f"{name}.{public}" for name, package in PACKAGES.items() for public in package.__all__]
    assert sorted(entries) == sorted(public)


def _uses(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("i2i."))
    elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "i2i":
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Attribute) and re.fullmatch(r"i2i(\.\w+)+", name := ast.unparse(node)):
        yield name


def _is_public(use: str) -> bool:
    """Return whether a dotted name is public, or an attribute of a public name."""
    parts = use.split(".")
    package = ".".join(parts[:2]) if parts[1] in ("nn", "testing") else "i2i"
    inner = parts[len(package.split(".")) :]
    return not inner or inner[0] in PUBLIC[package]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
