"""Processes that take turns, so that whatever slows the machine down slows all of them alike.

A process is started for each side of a comparison. All get ready, then each takes a turn, then each the next; while
one works, the others wait for their input.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

Turn = dict[str, Any]


class Cost(NamedTuple):
    """Of one process: seconds from its start to its end, its processor seconds, and what it printed."""

    wall: float
    cpu: float
    output: str


def serve(turn: Callable[[], Turn]) -> None:
    """Take a turn for each line of standard input, and print what it returns."""
    for _ in sys.stdin:
        print(json.dumps(turn()), flush=True)


def take_turns(
    commands: Mapping[str, Sequence[str]], count: int, environments: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Turn]]:
    """Run a Python command for each side, which must call `serve`; return what each did in each turn.

    Args:
        commands: Arguments for the interpreter, by side.
        count: Turns that each side takes, after one to warm up whose results are left out.
        environments: Environment variables of each side, in addition to those of this process.
    """
    with ExitStack() as processes:
        sides = {
            name: processes.enter_context(_Side(command, environments.get(name, {})))
            for name, command in commands.items()
        }
        return [{name: side.turn() for name, side in sides.items()} for _ in range(count + 1)][1:]


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a Python command to its end, imports included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run([sys.executable, *command], env={**os.environ, **environment}, check=True,
                             stdout=subprocess.PIPE, text=True)  # fmt: skip
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime), process.stdout)


class _Side:
    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip

    def __enter__(self) -> _Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def turn(self) -> Turn:
        """Wait for the next turn's results."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write("\n")
        questions.flush()
        line = answers.readline()
        if not line:
            raise SystemExit("A measured process ended early; its message is above.")
        turn: Turn = json.loads(line)
        return turn
