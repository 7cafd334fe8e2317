"""The command line, run in this process, and a model that it trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from i2i import cli
from i2i.registry.registry import installed
from tests.wording import check

TINY = ["--size=32", "--batch-size=2", "--steps=3", "--transfer-steps=2", "--device=cpu"]
TINY += ["--backbone.channels=4", "--generator.blocks=1", "--discriminator=ugatit", "--ema=0", "--evaluate.metrics=l1"]


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _fresh_plugins() -> Iterator[None]:
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def i2i(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line; return its status and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def refused(i2i: Command) -> Callable[..., str]:
    """Run a command line that must fail with status 2 and one message that reads as it did; return the message."""

    def call(*arguments: object, varies: str | None = None) -> str:
        result = i2i(*arguments)
        assert result.status == 2, result
        assert result.err.count("error: ") == 1, result.err
        assert "Traceback" not in result.out + result.err
        message = result.err.removeprefix("error: ").strip()
        check(message, varies=varies)
        return message

    return call


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run folder that is not there yet."""
    return tmp_path / "out"


@pytest.fixture
def own_root(folder_root: Path, tmp_path: Path) -> Path:
    """A copy of the data set that a test may damage."""
    return Path(shutil.copytree(folder_root, tmp_path / "data"))


@pytest.fixture(scope="session")
def trained(folder_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder; read it, never write to it."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    train("run", *TINY, "--data", folder_root, "--out", folder)
    return folder


def train(*arguments: object) -> None:
    """Run a command line that must succeed, for fixtures that outlive a test and so cannot use its own."""
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    assert not exit_.value.code


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``i2i run`` write run.toml and train nothing."""
    monkeypatch.setattr("i2i.runs.run.Run.execute", lambda *_: None)
