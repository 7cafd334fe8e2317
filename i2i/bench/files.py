"""The JSON files of a bench: ``bench-scores.json`` of each cell, and ``bench.json`` of all scored cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from i2i.bench.statistics import PairedTest, Result
from i2i.config.options import GroupName
from i2i.contracts.scores import StoredScores, plain
from i2i.errors import DataError, first_problem
from i2i.storage.files import write_text


class ScoredModel(BaseModel):
    """A model kept by a cell, with its scores.

    Attributes:
        step: Transfer steps taken.
        final: Whether it is the finished model.
        seen: Total number of training drawings seen, by group.
        scores: Judgements by group and metric.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    final: bool
    seen: dict[GroupName, int]
    scores: StoredScores

    def content(self) -> dict[str, Any]:
        """Return it as a JSON-serialisable object."""
        return {"step": self.step, "final": self.final, "seen": self.seen, "scores": plain(self.scores)}


class CellScores(BaseModel):
    """``bench-scores.json``: the scored models of one cell.

    Attributes:
        metrics: Names of the metrics.
        models: The models.
    """

    model_config = ConfigDict(frozen=True)

    metrics: tuple[str, ...]
    models: tuple[ScoredModel, ...]

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        content = {"metrics": self.metrics, "models": [model.content() for model in self.models]}
        write_text(path, json.dumps(content, indent=1))


class CellResults(BaseModel):
    """One cell in ``bench.json``.

    Attributes:
        backbone: The backbone.
        contender: The contender that adapted the base model.
        seed: The seed.
        command: The command that reproduces it.
        seconds: Training time in seconds.
        models: The scored models.
    """

    model_config = ConfigDict(frozen=True)

    backbone: str
    contender: str
    seed: int
    command: str
    seconds: float
    models: tuple[ScoredModel, ...]

    @property
    def results(self) -> list[Result]:
        """The scored models as results."""
        return results_of_cell(self.backbone, self.contender, self.seed, self.models)

    def content(self) -> dict[str, Any]:
        """Return it as a JSON-serialisable object."""
        cell = self.model_dump(include={"backbone", "contender", "seed", "command", "seconds"})
        return {**cell, "models": [model.content() for model in self.models]}


class PlanSummary(BaseModel):
    """The plan in ``bench.json``; other options are preserved unchanged."""

    model_config = ConfigDict(frozen=True, extra="allow")

    backbones: tuple[str, ...]
    contenders: dict[str, tuple[str, ...]]
    seeds: int
    base: tuple[str, ...] = ()

    @property
    def trainings(self) -> int:
        """Number of planned cells."""
        return len(self.backbones) * len(self.contenders) * self.seeds


class BenchResults(BaseModel):
    """``bench.json``: everything a bench has measured so far.

    Attributes:
        plan: The plan.
        version: The version of i2i that wrote it.
        machine: The machine that trained the base models.
        reference: The contender that all others are tested against.
        cells: The scored cells.
        tests: Paired tests by backbone.
    """

    model_config = ConfigDict(frozen=True)

    plan: PlanSummary
    version: str = ""
    machine: dict[str, Any]
    reference: str = ""
    cells: tuple[CellResults, ...]
    tests: dict[str, tuple[PairedTest, ...]]

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        content = {
            "plan": self.plan.model_dump(mode="json"),
            "version": self.version,
            "machine": self.machine,
            "reference": self.reference,
            "cells": [cell.content() for cell in self.cells],
            "tests": {backbone: [asdict(test) for test in tests] for backbone, tests in self.tests.items()},
        }
        write_text(path, json.dumps(content, separators=(",", ":")))


M = TypeVar("M", bound=BaseModel)


def read_json(kind: type[M], path: Path, remedy: str) -> M:
    """Read one of these files.

    Raises:
        DataError: The file is damaged; the message ends with ``remedy``.
    """
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DataError(f"{path} {first_problem(error, reason=False)}. {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}). {remedy}") from error


def results_of_cell(backbone: str, contender: str, seed: int, models: Sequence[ScoredModel]) -> list[Result]:
    """Return the scored models of a cell as results."""
    return [Result(backbone, contender, seed, one.step, one.final, one.seen, one.scores) for one in models]
