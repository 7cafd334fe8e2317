"""Help is fast because torch is imported only where it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchmetrics", "lightning_fabric", "PIL", "numpy")
REPORT = f"print(*sorted({set(HEAVY)} & sys.modules.keys()), file=sys.stderr)"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_i2i_imports_nothing_heavy() -> None:
    done = python(f"import sys, i2i, i2i.cli, i2i.registry.registry; {REPORT}")
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
    command = f"try: main({arguments})\nfinally: {REPORT}"
    done = python(f"import sys\nfrom i2i.cli import main\n{command}")
    assert (done.returncode, done.stderr) == (0, "\n")
    assert words in done.stdout
