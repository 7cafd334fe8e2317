"""Checks before a run starts: the data, the model to start from, and the parts of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from i2i.config.options import check_group_name
from i2i.config.run import RunConfig
from i2i.contracts.dataset import ONLY_GROUP, Dataset
from i2i.contracts.loss import Loss
from i2i.contracts.pretrained import Pretrained
from i2i.errors import ConfigError, DataError
from i2i.groups.addition import check_added
from i2i.groups.stored import tensor_ownership
from i2i.models.checkpoint import read_model_weights
from i2i.models.components import Components
from i2i.models.description import ModelDescription, described, read_model_description
from i2i.models.model import Model, outline
from i2i.models.size import bounded
from i2i.storage.run_folder import BASE_FILE
from i2i.storage.tensor_file import TensorFile
from i2i.training.loader import broken_images


def check_data(config: RunConfig, dataset: Dataset) -> None:
    """Refuse data that cannot be used or does not match the model to start from.

    Raises:
        DataError: An image cannot be read.
        ConfigError: A group has an invalid name, or the model's groups do not match the data's.
    """
    _refuse_broken(dataset)
    for group in dataset.groups:
        check_group_name(group)
    if config.base_model is not None and config.added is None:
        _check_start(config.base_model, "base" in config.stages, dataset)


class Outlines:
    """Outlines of the models of a run, each built when it is first asked for.

    Attributes:
        components: The parts of the models and the options of the run.
    """

    def __init__(self, components: Components) -> None:
        self.components = components
        self._built: dict[tuple[str, ...], Model] = {}

    def of(self, base: str, groups: Sequence[str] = ()) -> Model:
        """Return the outline of the model with these groups, see `outline`; the caller does not change its shape."""
        key = (base, *groups)
        if key not in self._built:
            self._built[key] = outline(self.components, base, groups)
        return self._built[key]


def check_networks(outlines: Outlines, dataset: Dataset, pretrained: Pretrained) -> None:
    """Check all networks without allocating their weights, to report mistakes before a run starts.

    Raises:
        ConfigError: A part cannot be transferred, or a loss compares more samples than a transfer draws.
        WeightsError: Pretrained weights for a loss or discriminator are missing, damaged or from another network.
        CheckpointError: The model to start from does not fit.
    """
    components = outlines.components
    model = _check_model(outlines, dataset)
    model.prepare(pretrained)
    losses = {
        name: loss for transfer in components.transfers for name, loss in components.build_losses(transfer).items()
    }
    _check_samples(components, dataset, losses)
    for name, loss in losses.items():
        with bounded("loss", components.losses[name]):
            loss.prepare(model.backbone.generators, torch.device("meta"), pretrained)


def _check_samples(components: Components, dataset: Dataset, losses: Mapping[str, Loss]) -> None:
    """Refuse losses that compare more samples of new groups than a transfer draws at once."""
    base = groups_of(components, dataset)[0]
    groups = new_groups(dataset, base)
    batches = first_draw(components, base, groups)
    most = max((sum(group != base for group in batch) for batch in batches), default=0)
    for name, loss in losses.items():
        if 0 < most < loss.fewest:
            raise ConfigError(
                f"The loss '{name}' compares {loss.fewest} samples or more of new groups, and a step has {most}. Set "
                f"--transfer.samples {math.ceil(loss.fewest / len(groups))}."
            )


def _check_model(outlines: Outlines, dataset: Dataset) -> Model:
    """Return the outline of the model the run will end with, after checking that the one it starts from fits."""
    if outlines.components.config.base_model is not None:
        _check_weights(outlines, TensorFile(Path(outlines.components.config.base_model)), dataset)
    return outlines.of(*groups_of(outlines.components, dataset))


def _check_weights(outlines: Outlines, file: TensorFile, dataset: Dataset) -> None:
    components, start = outlines.components, described(file)
    if components.config.added is not None:
        check_added(components, tensor_ownership(components, start, dict(file)), start)
    read_model_weights(outlines.of(base_of(start, dataset), start.groups), file)


def check_compiling(config: RunConfig) -> None:
    """Refuse to compile what is to be computed twice.

    Raises:
        ConfigError: The options ask for both.
    """
    if config.compile and config.memory == "low":
        raise ConfigError("--compile cannot be used together with --memory low. Leave out one of them.")


def check_logging(log: str) -> None:
    """Refuse a logger that is not installed.

    Raises:
        ConfigError: The logger is not installed.
    """
    if log == "tensorboard" and find_spec("tensorboard") is None:
        raise ConfigError("--log tensorboard needs an extra. Install it with: pip install 'i2i[tensorboard]'.")


def base_of(model: ModelDescription, dataset: Dataset) -> str:
    """Return the base group of a described model; a model made without groups takes the data's."""
    return dataset.base if model.base == ONLY_GROUP and not model.groups else model.base


def groups_of(components: Components, dataset: Dataset) -> tuple[str, tuple[str, ...]]:
    """Return the base group and the other groups of the model the run ends with, without a group it adds."""
    base, groups = dataset.base, tuple[str, ...]()
    if components.config.base_model is not None:
        start = read_model_description(Path(components.config.base_model))
        base, groups = base_of(start, dataset), start.groups
    if "transfer" in components.config.stages and not groups:
        return base, tuple(new_groups(dataset, base))
    return base, groups


def first_draw(components: Components, base: str, groups: Sequence[str]) -> list[tuple[str, ...]]:
    """Return sub-batches as the transfer draws them, each as the group of every sample; none without a transfer."""
    if "transfer" not in components.config.stages or not groups:
        return []
    transfer = components.transfer.build(base, tuple(groups))
    return transfer.draw(components.config.batch_size, np.random.default_rng(0))


def new_groups(dataset: Dataset, base: str) -> list[str]:
    """Return the groups of the data other than the base."""
    return [group for group in dataset.groups if group != base]


def _check_start(file: str, base_stage: bool, dataset: Dataset) -> None:
    start = read_model_description(Path(file))
    if not base_stage:
        _check_base(base_of(start, dataset), dataset)
        _check_served(file, start, dataset)
    elif start.groups:
        raise ConfigError(
            f"{file} serves {', '.join(start.groups)} already. Train it further with: i2i transfer {file}."
        )


def _check_base(base: str, dataset: Dataset) -> None:
    if base not in dataset.groups:
        groups = ", ".join(dataset.groups)
        raise ConfigError(
            f"The data has no group '{base}', which is the model's base; it has {groups}. Add a folder for it, or add "
            "groups one at a time to a model that has some: i2i groups add."
        )
    if len(dataset.groups) == 1:
        raise ConfigError(
            f"The data has no group other than '{base}', the model's base. Add a folder for each new group."
        )


def _check_served(file: str, start: ModelDescription, dataset: Dataset) -> None:
    """Refuse data whose groups differ from the model's: further training needs exactly the same groups."""
    served, present = start.groups, new_groups(dataset, start.base)
    other = ", ".join(group for group in present if group not in served)
    if served and other:
        raise ConfigError(
            f"{file} serves {', '.join(served)}, but not {other} of the data, and a transfer continues with "
            f"the same groups. Add a group with i2i groups add, remove that data, or start from a base model, such as "
            f"{BASE_FILE} of its run."
        )
    lacking = ", ".join(group for group in served if group not in present)
    if lacking:
        raise ConfigError(f"The data lacks {lacking}, which {file} serves. Add a folder for each.")


def _refuse_broken(dataset: Dataset) -> None:
    problems = broken_images(dataset)
    if problems:
        more = f"\n... and {len(problems) - 5} more; i2i data check lists all." if len(problems) > 5 else ""
        raise DataError("\n".join(problems[:5]) + more)
