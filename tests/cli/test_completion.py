"""Completion of command lines by a shell."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def completed(i2i, monkeypatch):
    """Return what bash offers for the last word of a command line."""

    def call(line: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        monkeypatch.setenv("_I2I_COMPLETE", "complete_bash")
        result = i2i()
        assert result.status == 0
        return result.out.split()

    return call


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("i2i pl", ["plugins"]),
        ("i2i plugins sh", ["show"]),
        ("i2i run --backbone.ch", ["--backbone.channels"]),
        ("i2i run --backbone cyclegan --backbone.p", ["--backbone.pool_size"]),
        ("i2i run --backbone nonsense --transfer-s", ["--transfer-steps"]),
    ],
)
def test_commands_and_options_of_components_are_offered(completed, line, words) -> None:
    assert completed(line) == words


def test_a_shell_that_asks_for_an_unfinished_name_gets_no_error(i2i, monkeypatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "i2i run --backbone cycleg")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setenv("_I2I_COMPLETE", "complete_bash")
    assert i2i().err == ""


def test_it_is_installed_for_a_shell(i2i, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("typer._completion_shared.shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    assert i2i("--install-completion").status == 0
    assert "_I2I_COMPLETE=complete_bash" in (tmp_path / ".bash_completions" / "i2i.sh").read_text()
