"""Output that cannot be written never ends a command."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from i2i import cli
from i2i.cli.output import lasting_output, open_console
from tests.cli.conftest import TINY, Command

FULL = Path("/dev/full")
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "100"}


def closed_pipe() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", encoding="utf-8")


def full_disk() -> TextIO:
    return FULL.open("w", encoding="utf-8")


def vanished() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "make",
    [
        closed_pipe,
        pytest.param(full_disk, marks=pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")),
        vanished,
    ],
)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_run_ends_with_a_model_wherever_its_output_goes(
    make: Callable[[], TextIO], name: str, folder_root: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, name, make())
        status = execute("train", *TINY[:2], "--steps=1", *TINY[4:], f"--data={folder_root}", f"--out={out}")
        getattr(sys, name).close()  # what is left in its buffer fails here if it fails at all
    assert status == 0
    assert (out / "base.safetensors").is_file()
    assert (out / "report.html").is_file()


def test_characters_that_the_encoding_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    with lasting_output():
        open_console().print("l1 0.7 ↓ é")
    assert written.getvalue() == "l1 0.7 ? é\n".encode("cp1252")


@pytest.mark.parametrize("name", ["a\x1b[31m.png", "a\x9b2J.png", "a\x1b]0;title\x07.png", "a\u202egnp.png", "a\r.png"])
def test_names_of_files_do_not_steer_a_terminal(i2i: Command, trained: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no image")
    result = i2i("translate", trained, tmp_path, "--out", tmp_path / "new")
    assert ascii(name)[1:-1] in result.err
    assert not any(character in result.err for character in name[1:] if not character.isascii() or character < " ")


def test_notes_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"msg": "profile \x1b[31m", "levelno": logging.WARNING})
    with lasting_output():
        logging.lastResort.handle(record)
    assert capsys.readouterr().err == "profile \\x1b[31m\n"


def test_a_full_disk_is_mentioned_on_standard_error(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = full_disk()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "__stdout__", stream)
    assert execute("plugins") == 0
    stream.close()
    assert capsys.readouterr().err == "Standard output cannot be written (No space left on device). Work goes on.\n"


def test_tables_are_never_cut_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    open_console().print("x" * 500)
    assert execute("plugins", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "x" * 500
    assert all(line[0] != " " for line in lines)  # no row goes on in a second line
    assert all(line == line.rstrip() for line in lines)


def test_columns_are_those_that_the_user_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert open_console().width == 60


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_a_quiet_run_prints_its_result_alone(i2i: Command, folder_root: Path, out: Path, flag: str) -> None:
    result = i2i("train", *TINY[:2], "--steps=1", *TINY[4:], "--data", folder_root, "--out", out, flag)
    assert (result.status, result.err) == (0, "")
    line, *rest = result.out.splitlines()
    assert str(out / "report.html") in line
    assert rest == []


def test_a_verbose_run_prints_the_files_that_it_saves(i2i: Command, folder_root: Path, out: Path) -> None:
    result = i2i("-v", "train", *TINY[:2], "--steps=1", *TINY[4:], "--data", folder_root, "--out", out)
    assert f"saved {out}/base.safetensors" in result.out
    assert i2i("train", "-v", "-q", "--resume", out).out.count("\n") == 1  # the last flag counts


def test_quiet_commands_list_what_they_are_asked_for(i2i: Command) -> None:
    assert "emoji" in i2i("-q", "data", "list").out


@pytest.mark.parametrize("command", ["run --stepps=1", "plugins"])
def test_no_color_means_none(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At a terminal, where there are colours without NO_COLOR."""
    for name, value in TERMINAL.items():
        monkeypatch.setenv(name, value)
    printed = []
    for value in ("1", ""):
        monkeypatch.setenv("NO_COLOR", value)
        execute(*command.split())
        printed.append("".join(capsys.readouterr()))
    check_colours(*printed)


@pytest.mark.full
@pytest.mark.parametrize("command", ["run --help", "run --help-all"])
def test_no_color_means_none_in_help(command: str) -> None:
    """In a process of its own, since typer reads the environment when it is imported."""
    code = f"from i2i.cli import main; main({command.split()})"
    plain, coloured = (
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | TERMINAL | extra, capture_output=True, text=True, check=False
        )
        for extra in ({"NO_COLOR": "1"}, {})
    )
    check_colours(plain.stdout + plain.stderr, coloured.stdout + coloured.stderr)


def check_colours(plain: str, coloured: str) -> None:
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m", plain)
    assert re.search(r"\x1b\[", coloured)


def execute(*arguments: object) -> object:
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    return exit_.value.code
