"""The line about cost in a run."""

from __future__ import annotations

import io

from rich.console import Console

from i2i.runs.listeners.forecast import TIMED, Forecast
from i2i.runs.run import create_run
from tests.wording import check_line

FIGURES = r"\b\d[\d.e-]* (s|min|h|MiB|GiB)\b"


def printed(registry, tiny, folder, steps):
    console = Console(file=io.StringIO(), width=200, soft_wrap=True)
    run = create_run(folder, {**tiny, "steps": steps, "transfer": {"name": "none"}}, registry)
    run.execute([Forecast(console)])
    return console.file.getvalue()


def test_a_line_after_the_first_steps(registry, tiny, tmp_path):
    text = printed(registry, tiny, tmp_path / "out", TIMED + 4)
    check_line(text, "parameters", "peak memory", "3 steps", varies=FIGURES)
    assert text.count("\n") == 1


def test_none_for_a_stage_that_is_over_before(registry, tiny, tmp_path):
    assert printed(registry, tiny, tmp_path / "out", TIMED + 1) == ""
