"""A command in a process that may be killed at any moment; importing this makes starting one cheap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from i2i import cli, report
from i2i.runs import run
from i2i.runs.listeners import diagnosis, forecast, metrics_file, overfitting, progress, samples

PRELOADED = (cli, report, run, diagnosis, forecast, metrics_file, overfitting, progress, samples)


def start(arguments: Sequence[object]) -> BaseProcess:
    """Start a command without output; its process is forked from one that has imported what it needs."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_work, args=([str(argument) for argument in arguments],))
    process.start()
    return process


def _work(arguments: list[str]) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    cli.main(arguments)
