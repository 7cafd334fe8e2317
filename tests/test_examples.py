"""The examples on the pages of commands print what the pages show.

Those of trainings and measurements take too long or depend on the machine. The others run here; where they need a
model, with one that has taken one step, as what they print does not depend on its weights.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from i2i import cli
from tests.commands import call

EXAMPLES = Path(__file__).parents[1] / "examples" / "commands"
TESTED = ("data", "plugins")
WITH_A_MODEL = ("translate", "report", "import", "export", "groups")
UNTESTED = ("run", "train", "transfer", "estimate", "evaluate", "bench", "weights")
SHOWN = re.compile(r"```bash\n((?:.*\n)*?)```\n(?:(?!```).*\n)*```text\n((?:.*\n)*?)```")
"""A block of commands and the block of what they printed."""
ONE_STEP = ("--steps=1", "--device=cpu", "--evaluate.metrics=l1", "-q")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run commands as without a terminal; return what they printed, without spaces at the ends of lines."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(commands: str) -> str:
        capsys.readouterr()
        for line in commands.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "i2i"
            call(*arguments)
        return re.sub(r" +$", "", capsys.readouterr().out, flags=re.MULTILINE)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images and models of the examples."""
    place = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        call("data", "export", "emoji", "--out", "faces")
        call("run", "--transfer-steps=1", *ONE_STEP)
        call("train", "--data", "faces", "--backbone=cyclegan", *ONE_STEP)
    return place


def test_every_command_has_an_example_that_shows_what_it_printed() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.md")) == sorted(cli.program().commands)
    assert {*TESTED, *WITH_A_MODEL, *UNTESTED} == {*cli.program().commands}
    for path in EXAMPLES.glob("*.md"):
        commands, shown = SHOWN.findall(path.read_text(encoding="utf-8"))[0]
        assert re.search(rf"^i2i {path.stem}\b", commands, re.MULTILINE)
        assert shown.strip()


@pytest.mark.parametrize("name", TESTED)
def test_the_example_prints_what_the_page_shows(name: str, printed, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(name, printed)


@pytest.mark.full
@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_the_example_with_a_model_prints_what_the_page_shows(
    name: str, printed, folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "here"))
    check(name, printed)


def check(name: str, printed) -> None:
    """Assert that the commands of a page print what follows them; ``...`` stands for any number of lines left out."""
    for commands, shown in SHOWN.findall((EXAMPLES / f"{name}.md").read_text(encoding="utf-8")):
        parts = re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)
        assert re.fullmatch("(?:.*\n)*".join(map(re.escape, parts)), printed(commands))
