"""The cost of a run, from a few real steps of each stage on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from i2i.compute.engine import Engine
from i2i.compute.memory import machine_memory, peak_memory
from i2i.compute.randomness import seed_everything
from i2i.models.size import ModelSize
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.runs.setup import RunSetup
from i2i.runs.stages import start_stage, training_of

WARM_UP, TIMED = 1, 3
"""Steps of each stage: the first is slower, since memory is allocated and images are read."""


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage.

    Attributes:
        name: ``base`` or ``transfer``.
        size: The parameters of its model.
        steps: Total steps.
        samples: Images of one domain per step.
        step_seconds: Median time of a step.
    """

    name: str
    size: ModelSize
    steps: int
    samples: int
    step_seconds: float

    @property
    def seconds(self) -> float:
        """Time of all steps."""
        return self.steps * self.step_seconds


@dataclass(frozen=True)
class RunCost:
    """The cost of a run, without evaluation, sample grids and saving.

    Attributes:
        stages: The stages that train.
        memory: The most memory in bytes that this process used on the device; None if unknown.
        available: The memory of the device; None if unknown.
    """

    stages: tuple[StageCost, ...]
    memory: int | None
    available: int | None

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum(stage.seconds for stage in self.stages)


def estimate(setup: RunSetup, engine: Engine, registry: Registry) -> RunCost:
    """Take a few steps of each stage and extrapolate; nothing is written.

    The transfer starts from the model that the options name, or else from an untrained base model, which takes as long.
    """
    costs = [_cost(stage, setup, engine, registry) for stage in setup.config.stages]
    trained = tuple(cost for cost in costs if cost is not None)
    return RunCost(trained, peak_memory(engine.device), machine_memory(engine.device))


def _cost(name: str, setup: RunSetup, engine: Engine, registry: Registry) -> StageCost | None:
    """Return the cost of a stage; None if it takes no steps."""
    seed_everything(setup.config.seed)
    pretrained = PretrainedNetworks(registry)
    stage = start_stage(name, setup.components, setup.dataset, pretrained)
    if not stage.steps:
        return None
    training = training_of(stage, setup.components, setup.dataset, engine, pretrained)
    seconds = []
    for _ in range(WARM_UP + TIMED):
        start = time.perf_counter()
        training.step()
        seconds.append(time.perf_counter() - start)
    size = ModelSize.of(stage.model.backbone)
    return StageCost(name, size, stage.steps, training.samples_per_step, median(seconds[WARM_UP:]))
