"""Commands start fast because each library is imported only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from i2i.contracts.backbone import Backbone
from i2i.registry.registry import Registry
from tests.trainings import published_backbone

HEAVY = ("torch", "torchmetrics", "lightning_fabric", "PIL", "numpy")
SLOW = (
    "lightning_fabric",
    "lpips",
    "matplotlib",
    "scipy",
    "sympy",
    "timm",
    "torch._dynamo",
    "torchmetrics",
    "torchvision",
)


def report(modules: Iterable[str]) -> str:
    """Return code that reports which of these modules are imported."""
    return f"print(*sorted({set(modules)} & sys.modules.keys()), file=sys.stderr)"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_i2i_imports_nothing_heavy() -> None:
    done = python(f"import sys, i2i, i2i.cli, i2i.registry.registry; {report(HEAVY)}")
    assert (done.returncode, done.stderr) == (0, "\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "translate"),
        (["translate", "--help"], "--direction"),
        (["plugins", "--help"], "show"),
        (["data", "--help"], "check"),
    ],
)
def test_help_imports_nothing_heavy(arguments, words) -> None:
    command = f"try: main({arguments})\nfinally: {report(HEAVY)}"
    done = python(f"import sys\nfrom i2i.cli import main\n{command}")
    assert (done.returncode, done.stderr) == (0, "\n")
    assert words in done.stdout


def test_version_imports_nothing_heavy() -> None:
    done = python(f"import sys\nfrom i2i.cli import main\ntry: main(['--version'])\nfinally: {report(HEAVY)}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "i2i 0.1.0\n", "\n")


def test_neither_outlines_nor_training_nor_translating_import_more_than_they_compute_with(
    registry: Registry, trained: Path, tmp_path: Path
) -> None:
    """One process for the three: what an earlier one imports, a later one would show, too."""
    backbones = [published_backbone(registry, name, 16) for name in registry.names(Backbone)]
    command = ["translate", str(trained), str(trained / "samples" / "base.png"), "--out", str(tmp_path)]
    engine = {"lightning_fabric", "sympy", "torch._dynamo"}
    code = f"""
import sys
from i2i.cli import main
from i2i.models.assembly import resolve
from i2i.models.model import outline
from i2i.registry.registry import Registry
registry = Registry()
for backbone in {backbones}:
    model = outline(resolve({{"backbone": backbone}}, registry), "woman", ["man"])
    assert all(tensor.is_meta for tensor in model.backbone.state_dict().values())
{report(SLOW)}
try:
    main({command})
finally:
    {report(SLOW)}
    import i2i.runs.run
    {report(set(SLOW) - engine)}
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "\n" * 3), "outlines, translating, training"
