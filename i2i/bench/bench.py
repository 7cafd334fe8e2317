"""A bench: one base model per backbone, adapted by every contender with every seed.

Each cell is a run folder created by one i2i command. A stopped bench resumes where it stopped.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field

from i2i.bench.files import CellScores, ScoredModel, read_json, results_of_cell
from i2i.bench.jobs import in_order
from i2i.bench.statistics import Result
from i2i.config.options import Options, option_values, validate
from i2i.contracts.backbone import Backbone
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError, I2IError
from i2i.evaluation.metrics_log import read_lines
from i2i.evaluation.scoring import Evaluation
from i2i.models.checkpoint import load
from i2i.registry.registry import Registry
from i2i.runs.run import Run
from i2i.storage.files import inside, is_vacant, write_text
from i2i.storage.run_folder import BASE_FILE, CONFIG_FILE, METRICS_FILE, MODEL_FILE, STEPS
from i2i.storage.toml import read_toml, to_toml

PLAN_FILE, SCORES_FILE, CELLS = "bench.toml", "bench-scores.json", "cells"
TRANSFERS = ("none", "mixed", "joint", "finetune", "branch-free", "branch")
"""The paper's comparison (arXiv 2007.13332, section 4)."""
Start = Callable[[Sequence[str]], None]
"""Executes an i2i command, given its arguments."""


class Plan(Options):
    """The contents of ``bench.toml``: what a bench compares."""

    backbones: tuple[str, ...] = Field(("ugatit",), min_length=1, description="The backbones.")
    contenders: dict[str, tuple[str, ...]] = Field(
        default={name: ("--transfer", name) for name in TRANSFERS},
        min_length=1,
        description="The contenders: label, and options of i2i transfer.",
    )
    seeds: int = Field(3, ge=1, description="Seeds per contender: 0, 1, ...")
    base: tuple[str, ...] = Field((), description="Options of i2i train for the base models, inherited by transfers.")
    everywhere: tuple[str, ...] = Field((), description="Options of every command, such as --threads 1.")
    points: int = Field(6, ge=1, description="Models to score per cell, the last of them finished.")


@dataclass(frozen=True)
class Cell:
    """One training run of a bench: a contender adapting a backbone's base model with one seed."""

    backbone: str
    contender: str
    seed: int
    folder: Path
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.backbone} {self.contender} seed {self.seed}"

    @property
    def command(self) -> str:
        """The command that reproduces it."""
        return shlex.join(["i2i", *self.arguments])

    @property
    def trained(self) -> bool:
        """Whether its training is finished."""
        return (self.folder / MODEL_FILE).is_file()


@dataclass(frozen=True)
class Failure:
    """A training or a scoring that failed, and why."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} failed: {self.reason}"


class Bench:
    """A folder with a plan and its cells.

    Args:
        folder: The folder of the bench.
        plan: The plan; by default that of the folder's ``bench.toml``.
        registry: The registry of components.

    Raises:
        ConfigError: The plan is missing or invalid.
        UnknownComponentError: A backbone or transfer does not exist.
    """

    def __init__(self, folder: Path, plan: Plan | None, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self._evaluation = cache(self._evaluate)
        self.plan = plan or _read_plan(folder)
        for name in self.plan.backbones:
            registry.get(Backbone, name)
        for contender in self.plan.contenders:
            self._from_scratch(contender)

    def claim(self) -> None:
        """Write ``bench.toml``, or check that it holds the same plan.

        Raises:
            ConfigError: The folder holds a bench with another plan, or other files.
        """
        file = self.folder / PLAN_FILE
        if file.is_file() and (self.folder / CELLS).exists() and _read_plan(self.folder) != self.plan:
            raise ConfigError(
                f"{file} holds another plan. Continue that bench with --resume {self.folder}, or choose another --out."
            )
        if not file.is_file() and self.folder.is_dir() and not is_vacant(self.folder):
            raise ConfigError(f"{self.folder} is not empty and not a bench. Choose an empty or new folder with --out.")
        write_text(file, to_toml(self.plan.model_dump(mode="json")))

    def execute(self, start: Start, jobs: int = 1) -> Iterator[tuple[Cell, list[Result]] | Failure]:
        """Train missing base models and cells, and yield every cell with its scores, or its failure.

        All contenders of a seed come before the next seed, so an unfinished bench is still a fair comparison.

        Args:
            start: Executes the commands.
            jobs: Number of commands to execute at the same time; results come in the same order.
        """
        with in_order(jobs) as apply:
            failures = apply(lambda backbone: self._train_base(backbone, start), self.plan.backbones)
            for backbone, failure in zip(self.plan.backbones, failures, strict=True):
                if failure is not None:
                    yield failure
                    continue
                cells = self.cells(backbone)
                for cell, failed in zip(cells, apply(lambda cell: _train_cell(cell, start), cells), strict=True):
                    yield failed or self._with_scores(cell)

    def _train_base(self, backbone: str, start: Start) -> Failure | None:
        if (self.base(backbone) / BASE_FILE).is_file():
            return None
        return _attempt(f"The base model of {backbone}", lambda: start(self._base_arguments(backbone)))

    def _with_scores(self, cell: Cell) -> tuple[Cell, list[Result]] | Failure:
        results: list[Result] = []
        return _attempt(f"Scoring {cell}", lambda: results.extend(self.score(cell))) or (cell, results)

    def base(self, backbone: str) -> Path:
        """Return the run folder of a base model."""
        return inside(self.folder / CELLS, backbone) / "base"

    def cells(self, backbone: str) -> list[Cell]:
        """Return the cells of a backbone; its base model must be trained."""
        config = Run(self.base(backbone), self.registry).config
        names = [(seed, contender) for seed in range(self.plan.seeds) for contender in self.plan.contenders]
        return [
            self._cell(backbone, contender, seed, config.steps, config.steps_of_transfer) for seed, contender in names
        ]

    def score(self, cell: Cell) -> list[Result]:
        """Score every model kept by a trained cell, or return its stored scores if complete."""
        file = cell.folder / SCORES_FILE
        known = read_json(CellScores, file, "Delete it.") if file.is_file() else None
        metrics = self._evaluation(cell.backbone).metrics
        if known is None or known.metrics != metrics or self._can_score_more(cell, known.models):
            known = CellScores(metrics=metrics, models=tuple(self._scored(cell)))
            known.write(file)
        return results_of_cell(cell.backbone, cell.contender, cell.seed, known.models)

    def cost(self, cell: Cell) -> float:
        """Return the training time of a cell in seconds, summed over all sessions."""
        return sum(line.seconds or 0.0 for line in read_lines(cell.folder / METRICS_FILE))

    def _can_score_more(self, cell: Cell, models: Sequence[ScoredModel]) -> bool:
        """Return whether a metric can now score what it could not before, for example after downloading weights."""
        lacking = {
            (name, group)
            for model in models
            for group, judgements in model.scores.items()
            for name, one in judgements.items()
            if one.value is None and not one.n  # if n is set, the metric ran and returned NaN
        }
        if not lacking:
            return False
        model, evaluation = load(cell.folder / MODEL_FILE, self.registry), self._evaluation(cell.backbone)
        return any(not evaluation.obstacle(name, group, model.size, model.device) for name, group in lacking)

    def _scored(self, cell: Cell) -> Iterator[ScoredModel]:
        evaluation, base = self._evaluation(cell.backbone), self._base_seen(cell)
        lines = read_lines(cell.folder / METRICS_FILE)
        seen = {line.step: line.seen for line in lines if line.stage == "transfer" and line.seen is not None}
        last = max(seen, default=0)
        for step, file in _models(cell.folder, last).items():
            scores = evaluation.scores(load(file, self.registry))
            total = {group: base.get(group, 0) + seen.get(step, {}).get(group, 0) for group in scores}
            yield ScoredModel(step=step, final=step == last, seen=total, scores=scores)

    def _evaluate(self, backbone: str) -> Evaluation:
        """Return the evaluation of a backbone's base run; sharing it scores real drawings only once."""
        return Run(self.base(backbone), self.registry).evaluation

    def _base_seen(self, cell: Cell) -> Mapping[str, int]:
        """Return the images a cell's base model has seen per group; empty if the cell starts from scratch."""
        if self._from_scratch(cell.contender):
            return {}
        lines = read_lines(self.base(cell.backbone) / METRICS_FILE)
        return next((line.seen for line in reversed(lines) if line.seen is not None), {})

    def _from_scratch(self, contender: str) -> bool:
        return self.registry.get(Transfer, _transfer(self.plan.contenders[contender])).from_scratch

    def _base_arguments(self, backbone: str) -> tuple[str, ...]:
        folder = self.base(backbone)
        fresh = ("train", "--backbone", backbone, *self.plan.base, *self.plan.everywhere, "--out", str(folder))
        return _resume(fresh, folder)

    def _cell(self, backbone: str, contender: str, seed: int, before: int, steps: int) -> Cell:
        folder = inside(self.base(backbone).parent, f"{contender}-{seed}")
        taken = steps + (before if self._from_scratch(contender) else 0)
        keep = str(max(1, math.ceil(taken / self.plan.points)))
        options = (*self.plan.contenders[contender], "--seed", str(seed), *self.plan.everywhere, "--keep-every", keep)
        return Cell(
            backbone, contender, seed, folder, ("transfer", str(self.base(backbone)), *options, "--out", str(folder))
        )


def _train_cell(cell: Cell, start: Start) -> Failure | None:
    if cell.trained:
        return None
    return _attempt(str(cell), lambda: start(_resume(cell.arguments, cell.folder)))


def _attempt(what: str, action: Callable[[], object]) -> Failure | None:
    try:
        action()
    except Exception as error:  # of any component; the other cells go on
        return Failure(what, f"{error}" if isinstance(error, I2IError) else f"{type(error).__name__}: {error}")
    return None


def _read_plan(folder: Path) -> Plan:
    file = folder / PLAN_FILE
    if not file.is_file():
        raise ConfigError(f"{folder} is not a bench: it has no {PLAN_FILE}. Name a folder made by i2i bench.")
    return validate(Plan, read_toml(file), str(file))


def _resume(arguments: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Return the command, or the one that resumes it if its folder holds a run."""
    return (arguments[0], "--resume", str(folder)) if (folder / CONFIG_FILE).is_file() else arguments


def _transfer(options: Sequence[str]) -> str:
    """Return the transfer named in a contender's options.

    Raises:
        ConfigError: There is none.
    """
    name = option_values(options).get("--transfer")
    if not name:
        raise ConfigError(
            f"The contender with the options '{shlex.join(options)}' names no transfer. Begin with --transfer NAME."
        )
    return name


def _models(folder: Path, last: int) -> dict[int, Path]:
    """Return the kept models by step, ending with the finished model."""
    kept = {int(path.stem.rpartition("-")[2]): path for path in (folder / STEPS).glob("transfer-*.safetensors")}
    return dict(sorted({**kept, last: folder / MODEL_FILE}.items()))
