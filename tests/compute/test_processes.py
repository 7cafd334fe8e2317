"""Several processes: what they tell one another, who learns from whom, and runs that stop, go on and fail."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE
from textwrap import dedent

import pytest
import torch
import torch.distributed as dist

from i2i.compute.engine import Engine
from i2i.compute.processes import add_up, share, should_show
from i2i.errors import ProcessError
from i2i.storage.tensor_file import read
from i2i.training.augmentation import INTERVAL
from tests.compute.pair import OPTIONS, TRANSFERS
from tests.plugins.i2i_transfer.routing import CASES, expected, owners, precise, training_of
from tests.wording import check_line, mentions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, folder_root) -> Path:
    """What two processes that torchrun started left, and their output."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "data").symlink_to(folder_root)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]  # on a free port
    options = ["--nproc-per-node", "2", "--redirects", "3", "--log-dir", str(folder / "logs")]
    command = [*torchrun, *options, "-m", "tests.compute.pair", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, (done.stderr, printed(folder, "stderr"))
    return folder


def printed(folder: Path, stream: str) -> list[str]:
    """Return what each of the two has printed to ``stdout`` or ``stderr``."""
    return [next(folder.glob(f"logs/*/attempt_0/{index}/{stream}.log")).read_text() for index in range(2)]


@pytest.fixture(scope="module")
def found(folder):
    """What each of the two found."""
    return [json.loads((folder / f"found-{index}.json").read_text()) for index in range(2)]


def test_meetings(found):
    first, second = (one["meetings"] for one in found)
    alike = {
        "largest": 1, "any": [True, False], "mean": [0.5, 1.5], "join": [0.0, 1.0, 2.0], "share": [1.0] * 4,
        "gradients": [[1.5, 3.0], [1.5, 2.5], None, [4.0]],
    }  # fmt: skip
    assert {name: first[name] for name in alike} == {name: second[name] for name in alike} == alike
    assert first["gather"] == [{"own": [0.0, 1.0]}, {"own": [1.0, 2.0]}]
    assert second["gather"] == [{"own": [1.0, 2.0]}]
    assert [one["meetings"]["once"] for one in found] == [["ConfigError", "Schluß"], ["ProcessError", "Schluß"]]


def test_augmentation_hears_what_all_processes_heard(found):
    assert found[0]["heard"] == found[1]["heard"] == {"b/kid": INTERVAL / 8, "b/woman": INTERVAL / 8, "b/man": 0.0}


@pytest.mark.parametrize("name", TRANSFERS)
def test_a_sample_changes_what_it_may_in_both_processes(found, name):
    for own in (one["trainings"][name] for one in found):
        for group, changed in own["changed"].items():
            for side, whose in expected(name, group).items():
                assert owners(n for n in changed if n.startswith(f"{side}s.")) == whose, (group, side)


@pytest.mark.parametrize("name", TRANSFERS)
def test_two_processes_equal_two_sub_steps_of_one(found, folder, tmp_path, registry, name):
    first, second = (one["trainings"][name] for one in found)
    assert first == second, "weights, losses and positions, to the last bit"
    alone = precise(training_of(tmp_path, registry, name, backbone="cyclegan", accumulate=2, **CASES[name][0]))
    draw = alone.transfer.draw
    for group in ("woman", "man"):
        alone.transfer.draw = lambda batch_size, rng, group=group: [(group,)]
        alone.step()
    alone.transfer.draw = draw
    assert first["report"] == pytest.approx(alone.step(), rel=1e-9)
    assert first["positions"] == alone.loader.positions
    weights = alone.backbone.state_dict()
    for key, tensor in read(folder / f"{name}.safetensors")[0].items():
        torch.testing.assert_close(tensor, weights[key], rtol=1e-11, atol=1e-14, msg=key)


def test_a_run_stops_goes_on_and_ends_with_the_same_bytes(found, folder):
    statuses = {"whole": 0, "stopped": 0, "resumed": 0, "interrupted": 130, "gone on": 0, "refused": 2, "failed": 2}
    assert [one["statuses"] for one in found] == [statuses] * 2
    for name in ("base.safetensors", "model.safetensors", "state.safetensors"):
        whole, stopped, interrupted = (
            (folder / run / name).read_bytes() for run in ("whole", "stopped", "interrupted")
        )
        assert whole == stopped == interrupted, name
    tensors, _ = read(folder / "whole" / "state.safetensors")
    assert not torch.equal(tensors["random/torch"], tensors["process/1/random/torch"])
    pool = "backbone/pool/b/man"
    assert not torch.equal(tensors[pool], tensors[f"process/1/{pool}"]), "each has its own image pool"


def test_the_first_process_alone_speaks(folder):
    first, second = printed(folder, "stdout")
    assert second == ""
    begun = [line for line in first.splitlines() if "cyclegan" in line]
    assert len(begun) == 6
    for line in begun:
        mentions(line, "32 px", "cpu", "2 processes", "'branch'")
    for stage in ("base", "transfer"):
        check_line(first, f"1 of 2 ({stage})", "i2i run --resume")
    assert first.count("report.html") == 3


def test_one_message_tells_why_all_end(folder):
    """The first process was refused the folder; later the second one could not read an image."""
    first, second = printed(folder, "stderr")
    assert first.count("error: ") == 1
    check_line(first, f"error: {folder}/whole", f"i2i run --resume {folder}/whole", "--overwrite")
    assert second.strip() == "error: spoilt.png cannot be read. Restore it."


def test_the_process_group_is_taken_down_before_the_interpreter(folder):
    """Else a thread of it that is still at work aborts the process, now and then, after all is done."""
    assert [(folder / f"group-{index}").read_text() for index in range(2)] == ["False"] * 2
    assert "terminate called" not in "".join(printed(folder, "stderr"))


@pytest.mark.full
def test_a_process_whose_peer_has_died_ends_by_itself():
    """The second process is killed after a meeting; the SIGTERM that torchrun then sends must not cut off a message."""
    code = dedent("""
        import os, signal, sys
        from i2i.compute.engine import Engine
        from i2i.errors import ProcessError
        processes = Engine("cpu").processes
        assert processes.largest(processes.index) == 1
        if not processes.first:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            while True:
                processes.largest(0)
        except ProcessError as error:
            os.kill(os.getpid(), signal.SIGTERM)
            sys.exit(str(error))
    """)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"TORCHELASTIC_RUN_ID": "dying", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    shared |= {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1", "GROUP_RANK": "0", "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **shared, "RANK": str(index), "LOCAL_RANK": str(index)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    (_, first), (_, _) = (process.communicate(timeout=120) for process in both)
    assert [process.returncode for process in both] == [1, -signal.SIGKILL], first
    check_line(first, f"Process 1 (pid {both[1].pid} on {platform.node()}) of 2", "--resume")
    assert "terminate called" not in first


@pytest.mark.full
def test_the_option_processes_gives_what_torchrun_gives(folder):
    launched = folder / "launched"
    status, printed, error = ended(
        i2i("run", *OPTIONS, f"--data={folder / 'data'}", f"--out={launched}", "--processes=2")
    )
    assert (status, error, printed.count("2 processes")) == (0, "", 1)
    for name in ("base.safetensors", "model.safetensors", "state.safetensors"):
        assert (launched / name).read_bytes() == (folder / "whole" / name).read_bytes(), name


@pytest.mark.full
def test_sigterm_stops_all_processes_after_a_save_and_one_can_go_on(tmp_path, folder_root):
    running = long_run(tmp_path / "run", folder_root)
    running.terminate()
    status, printed, error = ended(running)
    assert (status, error) == (128 + signal.SIGTERM, "")
    mentions(printed, "Stopped after step", f"i2i train --resume {tmp_path / 'run'}")
    status, printed, error = ended(i2i("train", "--resume", tmp_path / "run", "--processes=1", "--stop-after=1"))
    assert (status, error) == (0, "")
    check_line(printed, "1 instead of 2 processes", "2 instead of 1 sub-steps", "2 sub-steps, as before.")


@pytest.mark.full
def test_a_killed_process_is_named_and_ends_the_run(tmp_path, folder_root):
    running = long_run(tmp_path / "run", folder_root)
    second = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[-1])
    os.kill(second, signal.SIGKILL)
    status, _, error = ended(running)
    assert (status, error.count("error: ")) == (128 + signal.SIGKILL, 1), error
    mentions(error, f"(pid {second} on {platform.node()}) of 2", "--resume")


def long_run(out: Path, data: Path) -> subprocess.Popen[str]:
    """Start a training of two processes that would take hours, and return it at work."""
    options = [option for option in OPTIONS if "steps=" not in option]
    running = i2i("train", *options, "--steps=100000", f"--data={data}", f"--out={out}", "--processes=2")
    while running.poll() is None and not (out / "state.safetensors").exists():
        time.sleep(0.1)
    assert running.poll() is None, ended(running)
    return running


def i2i(*arguments: object) -> subprocess.Popen[str]:
    """Start a command."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "i2i", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command and return its status and what it printed to standard output and error."""
    printed, error = process.communicate(timeout=240)
    return process.returncode, printed, error


def test_a_single_process_meets_nobody():
    processes = Engine("cpu").processes
    parameter = torch.nn.Parameter(torch.zeros(1))
    processes.average_gradients([parameter])
    assert (processes.count, processes.index, processes.first, parameter.grad) == (1, 0, True, None)
    assert (processes.largest(3), processes.any(True), processes.any(False)) == (3, True, False)
    x = torch.arange(3.0)
    assert torch.equal(processes.join(x), x)
    assert torch.equal(processes.mean(x), x)
    assert processes.gather({"x": x})[0]["x"] is x
    done = []
    processes.once(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(ZeroDivisionError):
        processes.once(lambda: 1 / 0)


def test_who_tells_of_an_error(monkeypatch):
    assert should_show(ProcessError("bad", reported=True)), "a single process shows everything"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "nobody keeps count")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert should_show(ValueError()) == (rank == "0")
        assert not should_show(ProcessError("bad", reported=True))


def test_shares_are_disjoint_and_complete(monkeypatch):
    assert share(range(5)) == range(5), "a single process does everything"
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for rank in "012":
        monkeypatch.setenv("RANK", rank)
        shares.append(list(share(range(8))))
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_sum_waits_for_all(monkeypatch):
    assert add_up(3, "images") == 3, "a single process has no others to wait for"
    store = dist.TCPStore("127.0.0.1", 0, is_master=True)
    values = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    sums: list[int] = []
    early = threading.Thread(target=lambda: sums.append(add_up(3, "images")))
    early.start()
    early.join(timeout=0.5)
    assert sums == []
    assert add_up(4, "images") == 7
    early.join(timeout=20)
    assert sums == [7]
