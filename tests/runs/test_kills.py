"""Runs killed at random moments and resumed: they end with the bytes and the log of a run that was left alone."""

from __future__ import annotations

import random
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.runs.killed import start
from tests.runs.test_run import FILES, written

OPTIONS = [
    "--size=32", "--batch-size=2", "--steps=16", "--transfer-steps=12", "--checkpoint-every=5", "--sample-every=10",
    "--device=cpu", "--threads=1", "--backbone=cyclegan", "--backbone.channels=4", "--generator.blocks=1",
    "--evaluate.metrics=l1",
]  # fmt: skip
KILLS = 5
"""Of each variant: 20 in all."""


@pytest.mark.full
@pytest.mark.parametrize(
    "extra",
    [[], ["--augment=ada", "--ada-rise=0.1"], ["--ema=0.9"], ["--augment=ada", "--ada-rise=0.1", "--ema=0.9"]],
    ids=["plain", "ada", "ema", "ada and ema"],
)
def test_a_killed_run_ends_as_one_that_was_left_alone(tmp_path: Path, folder_root: Path, extra: list[str]) -> None:
    dice, new, whole, run = random.Random(), tmp_path / "new", tmp_path / "whole", tmp_path / "run"
    ends(start(["run", *OPTIONS, *extra, "--data", folder_root, "--out", new, "--stop-after=1"]))
    shutil.copytree(new, whole)
    begun = time.monotonic()
    ends(start(["run", "--resume", whole]))
    seconds, kills = time.monotonic() - begun, 0
    while kills < KILLS:
        shutil.copytree(new, run)
        while True:
            process = start(["run", "--resume", run])
            process.join(dice.uniform(0, seconds) if kills < KILLS else None)
            if not process.is_alive():
                break
            process.kill()
            process.join()
            kills += 1
        assert process.exitcode == 0
        for name in (*FILES, "metrics.jsonl"):
            assert written(run, name) == written(whole, name), (name, kills)
        assert names_in(run) == names_in(whole)
        shutil.rmtree(run)


def names_in(folder: Path) -> set[str]:
    """Return the names of all files, without temporary ones, which are kept for a minute."""
    return {path.name for path in folder.rglob("*") if not path.name.startswith(".")}


def ends(process: BaseProcess) -> None:
    """Wait for a command that must succeed."""
    process.join()
    assert process.exitcode == 0
