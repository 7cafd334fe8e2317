"""What a run folder tells of its run: the configuration, and what was written down while it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.config.options import validate
from i2i.config.run import INFORMATIVE, RunConfig
from i2i.storage.run_folder import CONFIG_FILE, METRICS_FILE, STAGE_FILES, Line, read_config, read_lines


@dataclass(frozen=True)
class Record:
    """A run as its plain files tell of it; neither its model nor its data nor its plugins are needed.

    Attributes:
        folder: The run folder.
        config: The configuration.
        told: What else ``run.toml`` tells: tables of versions and of the machine, where they are there.
        lines: What ``metrics.jsonl`` holds.
    """

    folder: Path
    config: RunConfig
    told: Mapping[str, Mapping[str, Any]]
    lines: tuple[Line, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of which something was written down, in order."""
        return tuple(stage for stage in self.config.stages if any(line["stage"] == stage for line in self.lines))

    @property
    def finished(self) -> bool:
        """Whether every stage has its model."""
        return all((self.folder / STAGE_FILES[stage]).is_file() for stage in self.config.stages)

    def of(self, stage: str, key: str) -> list[Line]:
        """Return the lines of a stage that hold ``key``, in the order in which they were written."""
        return [line for line in self.lines if line["stage"] == stage and key in line]

    def last(self, key: str) -> Line | None:
        """Return the last line that holds ``key``."""
        return next((line for line in reversed(self.lines) if key in line), None)

    def step(self, stage: str) -> int:
        """Return the steps of a stage that are done."""
        return max((line["step"] for line in self.lines if line["stage"] == stage), default=0)


def read_record(folder: Path) -> Record:
    """Read what a run folder tells, also while the run goes on or after it was stopped.

    Raises:
        ConfigError: It is no run folder, or its configuration is wrong.
        DataError: ``metrics.jsonl`` is damaged.
    """
    content = read_config(folder)
    options = {name: value for name, value in content.items() if name not in INFORMATIVE}
    told = {name: value for name, value in content.items() if name in INFORMATIVE}
    config = validate(RunConfig, options, str(folder / CONFIG_FILE))
    return Record(folder, config, told, tuple(read_lines(folder / METRICS_FILE)))
