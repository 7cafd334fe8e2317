"""Adding a group to a model that already has some, leaving the trunk and the other groups unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from i2i.config.run import AddedGroup, RunConfig
from i2i.contracts.backbone import Side
from i2i.contracts.branches import Branches
from i2i.contracts.dataset import Dataset, Extended, Group
from i2i.contracts.transfer import Route, Transfer
from i2i.errors import ConfigError
from i2i.groups.stored import TensorOwnership, read_model_tensors, tensor_ownership
from i2i.models.components import Components
from i2i.models.data import resolve_data
from i2i.models.description import ModelDescription, described, read_model_description
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage.tensor_file import TensorFile


class AddedGroupTransfer(Transfer):
    """A model's transfer strategy, restricted to samples of the new group and the groups it needs.

    Args:
        inner: The strategy, adapted to all groups.
        drawn: The groups to draw samples from.
    """

    name = "adding"

    def __init__(self, inner: Transfer, drawn: Sequence[str]) -> None:
        super().__init__(inner.config, inner.base, inner.groups)
        self._inner, self._drawn = inner, frozenset(drawn)

    def adapt(self, model: nn.Module) -> None:
        """Do nothing: the model is already adapted."""

    def prepare(self, networks: Mapping[Side, nn.Module]) -> None:
        """Pass the networks to the strategy."""
        self._inner.prepare(networks)

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return the strategy's sub-batches without samples of other groups."""
        batches = [tuple(g for g in batch if g in self._drawn) for batch in self._inner.draw(batch_size, rng)]
        return [batch for batch in batches if batch]

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Return the strategy's routes; frozen parameters ignore them."""
        return self._inner.route(side, groups, losses)

    def parameter_groups(self, side: Side, lr: float) -> list[dict[str, Any]]:
        """Return the strategy's parameter groups."""
        return self._inner.parameter_groups(side, lr)


class GroupAddition:
    """A group being added to a model.

    Its branch starts as a copy of the base's. Everything else is frozen except the shared part of the discriminators:
    it trains along, since frozen discriminators teach little, and is restored at the end.

    Args:
        chosen: The components, with the group to add.
        dataset: The data of the new group and the groups it needs.

    Attributes:
        model: The model with the new group.
        transfer: The strategy that trains it.
    """

    def __init__(self, chosen: Components, dataset: Dataset) -> None:
        added, file = added_to(chosen.config)
        stored = TensorFile(file)
        description = described(stored)
        self._before = read_model_tensors(chosen, description, stored)
        self._group, self._train_trunk = added.group, added.train_trunk
        self.model = Model(chosen, description.base, [*description.groups, added.group])
        self._ownership = tensor_ownership(chosen, description, self._before)
        self._fill()
        self._freeze()
        self.transfer = AddedGroupTransfer(self._strategy(), dataset.groups)

    def settle(self) -> None:
        """Restore everything outside the new group bit by bit; if the trunk was trained, only the other branches."""
        self._give_back()
        for parameter in self.model.backbone.parameters():
            parameter.requires_grad_(True)

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Apply `settle` inside the block, then restore the model so that training can continue."""
        learning = {name: tensor.clone() for name, tensor in self.model.backbone.state_dict().items()}
        self._give_back()
        try:
            yield
        finally:
            self.model.backbone.load_state_dict(learning)

    def _give_back(self) -> None:
        others = [name for group in self.model.groups[1:-1] for name in self._ownership.names(group).values()]
        names = others if self._train_trunk else list(self._before)
        self._copy({name: self._before[name] for name in names})

    def _strategy(self) -> Transfer:
        if self.model.transfer is None:
            raise ConfigError(f"'{self._group}' cannot be added to a base model. Use i2i transfer.")
        return self.model.transfer

    def _fill(self) -> None:
        """Copy the old model's weights, and initialise the new group from the base."""
        self._copy(self._before)
        for module in self.model.backbone.modules():
            if isinstance(module, Branches):
                base, new = (module.branches[group].state_dict() for group in (self.model.base, self._group))
                if base.keys() == new.keys():  # the base has no adapters, for example
                    module.branches[self._group].load_state_dict(base)

    @torch.no_grad()
    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy tensors into the model; if a tensor has one row per group, into the first rows.

        The new row of a buffer is zero: in a spectral normalisation vector this keeps the norm, and so the head's
        output for the other groups, unchanged.
        """
        current = self.model.backbone.state_dict()
        buffers = {name for name, _ in self.model.backbone.named_buffers()}
        for name, tensor in tensors.items():
            rows = current[name][: len(tensor)] if current[name].shape != tensor.shape else current[name]
            rows.copy_(tensor)
            if name in self._ownership.rows and name in buffers:
                current[name][len(tensor) :].zero_()

    def _freeze(self) -> None:
        """Freeze all but the new group, the shared part of the discriminators and, if requested, the trunk."""
        frozen = {name for group in self.model.groups[1:-1] for name in self._ownership.names(group).values()}
        if not self._train_trunk:
            frozen |= set(self._ownership.names(self.model.base).values())
            frozen |= {name for name in self._ownership.shared if name.startswith("generators.")}
        for name, parameter in self.model.backbone.named_parameters(remove_duplicate=False):
            if name in frozen:
                parameter.requires_grad_(False)


def added_to(config: RunConfig) -> tuple[AddedGroup, Path]:
    """Return the group a run adds, and the model it is added to.

    Raises:
        ConfigError: The run names no group to add, or no model to add it to.
    """
    if config.added is None or config.base_model is None:
        raise ConfigError("Name both base_model and added, as i2i groups add does.")
    return config.added, Path(config.base_model)


def dataset_for_addition(chosen: Components, section: Mapping[str, Any], registry: Registry) -> Dataset:
    """Return the data of the added group and of the groups it needs.

    It needs the base group if the trunk is trained, and all groups of the data if the model has a group head.

    Args:
        chosen: The components, with the group to add.
        section: The ``data`` section the model was trained with.
        registry: Provides data sets and groups.

    Raises:
        ConfigError: The data of the needed groups is unknown.
        DataError: A group has no images.
    """
    added, file = added_to(chosen.config)
    description = read_model_description(file)
    base = description.base
    heads = "group" in chosen.transfer.options.provides
    kept = (base, *(description.groups if heads else ()))
    if not (heads or added.train_trunk):
        return Extended([_group(added, registry)], base=base)
    if not section:
        raise ConfigError(_unknown_data(added, base, heads))
    dataset = resolve_data({"data": section}, registry).build()
    if base not in dataset.groups:
        present = ", ".join(dataset.groups)
        raise ConfigError(f"The data of the model's run has no group '{base}', its base; it has {present}.")
    return Extended([_group(added, registry)], dataset, kept)


def check_added(chosen: Components, ownership: TensorOwnership, description: ModelDescription) -> None:
    """Refuse a group that cannot be added to the model.

    Raises:
        ConfigError: The model is a base model, already has the group, or gives groups no layers to train.
    """
    added, file = added_to(chosen.config)
    if not description.groups:
        raise ConfigError(f"{file} is a base model. Adapt it to '{added.group}' with: i2i transfer {file}.")
    if added.group in (description.base, *description.groups):
        raise ConfigError(f"{file} has a group '{added.group}' already. Choose another name.")
    transfer = "none" if description.config.transfer is None else description.config.transfer.name
    if chosen.transfer.component.name != transfer:
        raise ConfigError(f"{file} was made with --transfer {transfer}, which adds groups, too. Leave out --transfer.")
    if not any(name.startswith("generators.") for name in ownership.templates):
        raise ConfigError(f"The transfer '{transfer}' gives groups no layers of their own, so a group cannot be added.")


def _group(added: AddedGroup, registry: Registry) -> Group:
    if added.root is None:
        return registry.get_instance(Group, added.group)
    test_a, test_b = (folder if folder.is_dir() else () for folder in (added.root / "testA", added.root / "testB"))
    return Group(added.group, added.root / "trainA", added.root / "trainB", test_a, test_b)


def _unknown_data(added: AddedGroup, base: str, heads: bool) -> str:
    why = "group heads learn from all groups" if heads else "--train-trunk trains that group, too"
    return (
        f"Adding '{added.group}' needs the data of '{base}', since {why}, and the model is not in a run folder that "
        "names it. Name the run folder, or set data in its run.toml, as i2i import --data does."
    )
