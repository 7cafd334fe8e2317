"""Which command lines start several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i import cli
from i2i.cli.sharing import processes_asked
from tests.cli.conftest import TINY


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("run --processes 3", 3),
        ("groups add RUN robot --processes=2", 2),
        ("run", 1),
        ("run --processes", 1),
        ("run --processes 1.5", 1),
        ("run --processes 1000000000", 1),
        ("run --processes 3 --help", 1),
        ("run -h --processes 3", 1),
        ("run --processes 3 --help-all", 1),
        ("groups list --processes 3", 1),
        ("translate run --processes 3", 1),
        ("run --resume nowhere", 1),
    ],
)
def test_commands_that_train_start_what_they_are_asked_for(arguments: str, count: int) -> None:
    assert processes_asked(arguments.split()) == count


def test_a_configuration_file_and_a_resumed_run_ask_too(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("processes = 4\n")
    assert processes_asked(["train", "--config", str(file)]) == 4
    assert processes_asked(["run", "--resume", str(tmp_path)]) == 4
    assert processes_asked(["run", "--resume", str(tmp_path), "--processes", "1"]) == 1
    file.write_text("processes =")
    assert processes_asked(["train", "--config", str(file)]) == 1


def test_torchrun_decides_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert processes_asked(["run", "--processes", "3"]) == 1


def test_the_whole_command_line_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def launch(*given: object) -> int:
        started.append(given)
        return 7

    monkeypatch.setattr("i2i.compute.launch.launch", launch)
    arguments = ["--debug", "run", "--processes", "3"]
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert (started, stop.value.code) == ([(3, "i2i", arguments)], 7)


def test_a_number_that_is_none_is_refused(refused, folder_root, out) -> None:
    assert "processes" in refused("run", *TINY, "--data", folder_root, "--out", out, "--processes", "1000")
    assert not out.exists()


def test_processes_that_nobody_started_are_refused(refused, folder_root, out, monkeypatch) -> None:
    monkeypatch.setattr("i2i.cli.processes_asked", lambda arguments: 1)
    assert "--processes is 3, but 1 process is running" in refused(
        "run", *TINY, "--data", folder_root, "--out", out, "--processes", "3"
    )
