from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from i2i.errors import ConfigError, DataError
from i2i.storage.locks import locked
from tests.wording import refused

HOLD = "import sys; from i2i.storage.locks import locked\nwith locked(__import__('pathlib').Path(sys.argv[1])): "


def test_a_lock_keeps_others_out_and_goes_with_its_block(tmp_path):
    path = tmp_path / "run.lock"
    with locked(path):
        with refused(ConfigError, tmp_path, f"process {os.getpid()}", platform.node()), locked(path):
            pass
        with pytest.raises(ConfigError), locked(path):  # being refused frees nothing
            pass
    assert list(tmp_path.iterdir()) == []
    with locked(path):
        pass


def test_a_lock_goes_when_its_block_raises(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "run.lock"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "run.lock"
    code = HOLD + "print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1) as other:
        assert other.stdout.readline() == b"held\n"
        with refused(ConfigError, tmp_path, f"process {other.pid}"), locked(path):
            pass
        other.kill()
        other.wait()
    assert path.exists()
    with locked(path):
        pass


@pytest.mark.parametrize("vanish", [Path.unlink, lambda path: path.parent.rename(path.parent.with_name("moved"))])
def test_what_vanishes_is_noticed(tmp_path, vanish):
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder / "run.lock") as hold:
        hold.check()
        vanish(folder / "run.lock")
        with refused(DataError, folder):
            hold.check()


def test_a_lock_that_another_command_took_over_stays(tmp_path):
    path = tmp_path / "run.lock"
    with locked(path) as hold:
        path.rename(tmp_path / "taken")
        with locked(path) as other:
            with refused(DataError, path):
                hold.check()
            other.check()
            assert path.exists()
            path.rename(tmp_path / "other")
            path.touch()
    assert path.exists()


def test_a_block_that_fails_because_its_folder_vanished_says_so(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with refused(DataError, folder), locked(folder / "run.lock"):
        shutil.rmtree(folder)
        (folder / "metrics.jsonl").open("a")


def test_a_lock_in_a_place_that_cannot_be_written_to(tmp_path):
    with (
        refused(DataError, tmp_path / "gone"),
        locked(tmp_path / "gone" / "lock"),
    ):
        pass


def test_a_file_just_removed_by_its_holder_counts_as_free(tmp_path, monkeypatch):
    path, real = tmp_path / "run.lock", os.open
    removed = []

    def open_then_remove(file, *arguments):
        descriptor = real(file, *arguments)
        if Path(file) == path and not removed:
            removed.append(file)
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_then_remove)
    with locked(path):
        assert removed
        assert path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is how Unix locks")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_counts_as_free(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path / "run.lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_dead_processes_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old, below, fresh, ours, other = (
        tmp_path / name
        for name in (
            f".model.{dead.pid}-1.part.safetensors",
            f"groups/.kid.{dead.pid}-1.part.safetensors",
            f".state.{dead.pid}-1.part.safetensors",
            f".model.{os.getpid()}-1.part.safetensors",
            ".notes.part",
        )
    )
    below.parent.mkdir()
    for path in (old, below, fresh, ours, other):
        path.touch()
        if path is not fresh:
            os.utime(path, (0, 0))
    with locked(tmp_path / "run.lock"):
        assert [path.exists() for path in (old, below, fresh, ours, other)] == [False, False, True, True, True]
