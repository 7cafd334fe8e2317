"""The record of a run in its folder: configuration and training log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from i2i.config.run import RunConfig
from i2i.evaluation.metrics_log import Line, read_lines
from i2i.storage.run_folder import METRICS_FILE, STAGE_FILES, read_run

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A run as recorded in its text files; reading it needs no model, data or plugins.

    Attributes:
        folder: The run folder.
        config: The configuration.
        versions: Component versions from ``run.toml``; may be empty.
        machine: The machine's description; may be empty.
        lines: The lines of ``metrics.jsonl``.
    """

    folder: Path
    config: RunConfig
    versions: Mapping[str, Any]
    machine: Mapping[str, Any]
    lines: tuple[Line, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages with log lines, in order."""
        return tuple(stage for stage in self.config.stages if any(line.stage == stage for line in self.lines))

    @property
    def finished(self) -> bool:
        """Whether every stage has written its model."""
        return all((self.folder / STAGE_FILES[stage]).is_file() for stage in self.config.stages)

    def of(self, stage: str, figures: Callable[[Line], T | None]) -> list[tuple[int, T]]:
        """Return step and figures of each line of a stage that has them, in file order."""
        lines = [line for line in self.lines if line.stage == stage]
        return [(line.step, value) for line in lines if (value := figures(line)) is not None]

    def last(self, figures: Callable[[Line], T | None]) -> tuple[Line, T] | None:
        """Return the last line that has the figures, and the figures; None if no line has."""
        return next(((line, value) for line in reversed(self.lines) if (value := figures(line)) is not None), None)

    def step(self, stage: str) -> int:
        """Return the number of finished steps of a stage."""
        return max((line.step for line in self.lines if line.stage == stage), default=0)


def read_record(folder: Path) -> Record:
    """Read the record of a running, stopped or finished run.

    Raises:
        ConfigError: It is not a run folder, or its configuration is wrong.
        DataError: ``metrics.jsonl`` is damaged.
    """
    stored = read_run(folder)
    lines = tuple(read_lines(folder / METRICS_FILE))
    return Record(folder, stored.config, stored.versions, stored.machine, lines)
