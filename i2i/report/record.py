"""What a run folder tells of its run: the configuration, and what was written down while it ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from i2i.config.options import validate
from i2i.config.run import INFORMATIVE, RunConfig
from i2i.evaluation.metrics_log import Line, read_lines
from i2i.storage.run_folder import CONFIG_FILE, METRICS_FILE, STAGE_FILES, read_config

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A run as its plain files tell of it; neither its model nor its data nor its plugins are needed.

    Attributes:
        folder: The run folder.
        config: The configuration.
        versions: Component to version, as ``run.toml`` holds them; empty where it does not.
        machine: What is known of the machine; empty where nothing is.
        lines: What ``metrics.jsonl`` holds.
    """

    folder: Path
    config: RunConfig
    versions: Mapping[str, Any]
    machine: Mapping[str, Any]
    lines: tuple[Line, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of which something was written down, in order."""
        return tuple(stage for stage in self.config.stages if any(line.stage == stage for line in self.lines))

    @property
    def finished(self) -> bool:
        """Whether every stage has its model."""
        return all((self.folder / STAGE_FILES[stage]).is_file() for stage in self.config.stages)

    def of(self, stage: str, figures: Callable[[Line], T | None]) -> list[tuple[int, T]]:
        """Return the steps of a stage with what some lines hold, in the order in which they were written."""
        return [(line.step, own) for line in self.lines if line.stage == stage and (own := figures(line)) is not None]

    def last(self, figures: Callable[[Line], T | None]) -> tuple[Line, T] | None:
        """Return the last line that holds something, with what it holds."""
        return next(((line, own) for line in reversed(self.lines) if (own := figures(line)) is not None), None)

    def step(self, stage: str) -> int:
        """Return the steps of a stage that are done."""
        return max((line.step for line in self.lines if line.stage == stage), default=0)


def read_record(folder: Path) -> Record:
    """Read what a run folder tells, also while the run goes on or after it was stopped.

    Raises:
        ConfigError: It is no run folder, or its configuration is wrong.
        DataError: ``metrics.jsonl`` is damaged.
    """
    content = read_config(folder)
    options = {name: value for name, value in content.items() if name not in INFORMATIVE}
    config = validate(RunConfig, options, str(folder / CONFIG_FILE))
    tables = content.get("versions", {}), content.get("machine", {})
    return Record(folder, config, *tables, tuple(read_lines(folder / METRICS_FILE)))
