"""Starting a stage of a run: its model, its transfer, and its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from i2i.compute.engine import Engine
from i2i.config.run import RunConfig
from i2i.contracts.dataset import Dataset
from i2i.contracts.pretrained import Pretrained
from i2i.contracts.transfer import NoTransfer, Transfer
from i2i.groups.addition import GroupAddition
from i2i.models.checkpoint import load_weights
from i2i.models.components import Components
from i2i.models.description import described
from i2i.models.model import Model
from i2i.runs.checks import base_of, new_groups
from i2i.storage.tensor_file import TensorFile
from i2i.training.augmentation import choose_augmentation
from i2i.training.loader import Loader
from i2i.training.step import Training


@dataclass(frozen=True)
class Stage:
    """A stage before its first step.

    Attributes:
        model: The model to train, already adapted.
        transfer: The strategy.
        steps: Total steps.
        addition: The addition of one group, if that is what the stage does.
    """

    model: Model
    transfer: Transfer
    steps: int
    addition: GroupAddition | None = None


def start_stage(
    name: str, components: Components, dataset: Dataset, pretrained: Pretrained, base_file: Path | None = None
) -> Stage:
    """Build the model of a stage and load its first weights.

    Args:
        name: ``base`` or ``transfer``.
        components: The parts of the model and the options of the run.
        dataset: The data.
        pretrained: Provides pretrained networks.
        base_file: The base model that the run has trained, where a transfer starts unless the options name a model.
    """
    file = start_of(name, components.config)
    if name == "base":
        return _start_base(components, dataset, pretrained, file)
    return _start_transfer(components, dataset, pretrained, file or base_file)


def _start_base(components: Components, dataset: Dataset, pretrained: Pretrained, start: Path | None) -> Stage:
    model = Model(components, dataset.base)
    model.prepare(pretrained)
    if start is not None:
        load_weights(model, TensorFile(start))
    return Stage(model, _alone(model), components.config.steps_of("base"))


def _start_transfer(components: Components, dataset: Dataset, pretrained: Pretrained, start: Path | None) -> Stage:
    """Build the model with all groups; without a file to start from, its base model is untrained."""
    if components.config.added is not None:
        addition = GroupAddition(components, dataset)
        return Stage(
            addition.model, addition.transfer, _steps_of_transfer(components.config, addition.transfer), addition
        )
    file = None if start is None else TensorFile(start)
    saved = None if file is None else described(file)
    base, groups = (dataset.base, ()) if saved is None else (base_of(saved, dataset), saved.groups)
    model = Model(components, base, groups)
    new = new_groups(dataset, base)
    from_scratch = components.transfer.component.from_scratch and bool(new) and not groups
    if file is None or from_scratch:
        model.prepare(pretrained)
    else:
        load_weights(model, file)
    if model.transfer is None and new:
        model.adapt(components, new)
    transfer = model.transfer or _alone(model)
    return Stage(model, transfer, _steps_of_transfer(components.config, transfer, from_scratch))


def start_of(name: str, config: RunConfig) -> Path | None:
    """Return the model the user gave a stage to start from; only the first stage can have one."""
    return Path(config.base_model) if config.base_model is not None and name == config.stages[0] else None


def training_of(
    stage: Stage,
    components: Components,
    dataset: Dataset,
    engine: Engine,
    pretrained: Pretrained,
    accumulate: int | None = None,
) -> Training:
    """Return the training of a stage, at its first step; ``accumulate`` is the options' unless given."""
    config = components.config
    losses = components.build_losses(stage.transfer.config)
    boundary = next((loss.boundary for loss in losses.values() if loss.boundary is not None), 0.0)
    return Training(
        stage.model.backbone,
        stage.transfer,
        losses,
        loader_of(config, dataset, stage.transfer.config.crop_margin),
        engine,
        steps=stage.steps,
        batch_size=config.batch_size,
        seed=config.seed,
        pretrained=pretrained,
        augmentation=choose_augmentation(config, stage.steps, boundary, stage.model.base),
        ema=config.ema,
        accumulate=config.accumulate if accumulate is None else accumulate,
        low_memory=config.memory == "low",
        compiled=config.compile,
    )


def _alone(model: Model) -> Transfer:
    """Return the strategy that trains the base group alone."""
    return NoTransfer(NoTransfer.Config(), model.base, ())


def _steps_of_transfer(config: RunConfig, transfer: Transfer, from_scratch: bool = False) -> int:
    """Return the steps of the second stage; from scratch, it also gets those of the first."""
    if not transfer.trains:
        return 0
    return config.steps_of("transfer") + (config.steps if from_scratch else 0)


def loader_of(config: RunConfig, dataset: Dataset, margin: float | None = None) -> Loader:
    """Return the loader of a run's images; the data set decides on mirroring unless the options do.

    Args:
        config: The options of the run.
        dataset: The images.
        margin: That of a transfer, if it has its own.
    """
    flip = dataset.mirrored if config.flip is None else config.flip
    return Loader(dataset, config.size, config.seed, flip=flip, margin=config.crop_margin if margin is None else margin)
