"""Reading ``metrics.jsonl``, which has one line per step and per evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from i2i.config.options import GroupAndDomain, GroupName
from i2i.contracts.scores import StoredJudgement, StoredScores
from i2i.errors import DataError, first_problem


class Line(BaseModel):
    """One line; fields missing from it are None.

    Attributes:
        stage: The stage.
        step: The step.
        seconds: Time since the previous line.
        seen: Number of domain b images drawn so far, by group.
        halvings: Times the learning rates had been halved after NaN or infinity.
        losses: Mean over the step, by loss.
        scores: Judgements by group and metric.
        overall: Mean over groups, by metric.
        symptoms: Figures by group and symptom.
        images: Number of images by group and kind.
        overfitting: Figure by group.
        augmentation: Probability of augmentation by domain and group.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    step: int
    seconds: float | None = None
    seen: dict[GroupName, int] | None = None
    halvings: int | None = None
    losses: dict[str, float] | None = None
    scores: StoredScores | None = None
    overall: dict[str, StoredJudgement] | None = None
    symptoms: dict[GroupName, dict[str, float]] | None = None
    images: dict[GroupName, dict[str, int]] | None = None
    overfitting: dict[GroupName, float] | None = None
    augmentation: dict[GroupAndDomain, float] | None = None

    @property
    def when(self) -> str:
        """Stage and step as text."""
        return f"{self.stage}, step {self.step}"


def read_lines(path: Path, damaged: Callable[[DataError], None] | None = None) -> list[Line]:
    """Read the log of a run, ignoring a truncated last line; empty if the file is missing.

    Args:
        path: The file.
        damaged: Called with the error of each damaged line, which is skipped; by default the error is raised.

    Raises:
        DataError: A line is damaged, and ``damaged`` is None.
    """
    return [line for _, line in read_texts(path, damaged)]


def read_texts(path: Path, damaged: Callable[[DataError], None] | None = None) -> list[tuple[str, Line]]:
    """Read the log of a run like `read_lines`, returning each line with its text.

    Raises:
        DataError: As `read_lines`.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a process killed while writing truncates the last line
    entries = []
    for number, line in enumerate(whole, start=1):
        try:
            entries.append((line, _parse(line, f"{path}, line {number}")))
        except DataError as error:
            if damaged is None:
                raise
            damaged(error)
    return entries


def _parse(line: str, where: str) -> Line:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON ({error}). Remove that line.") from error
    if not isinstance(entry, dict) or "stage" not in entry or not isinstance(entry.get("step"), int):
        raise DataError(f"{where} lacks stage or step. Remove that line.")
    try:
        return Line.model_validate(entry)
    except ValidationError as error:
        raise DataError(f"{where} {first_problem(error)}. Remove that line.") from error
