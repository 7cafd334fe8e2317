"""Groups of a trained model as files: export, attach to another copy of the same base, remove."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import i2i
from i2i.config.options import GroupName, check_group_name, refuse_unknown_group
from i2i.errors import CheckpointError, ConfigError
from i2i.models.checkpoint import as_weight, describe, read_model_weights, resolve_described
from i2i.models.components import Components
from i2i.models.description import ModelDescription, described
from i2i.models.model import Model, outline
from i2i.registry.registry import Registry
from i2i.storage.run_folder import model_file
from i2i.storage.tensor_file import Description, TensorFile, feed, write

SLOT = "{group}"
"""What stands for the group in the names of its tensors."""


@dataclass(frozen=True)
class TensorOwnership:
    """Which tensors belong to a single group, and which are shared.

    Attributes:
        templates: Names of tensors that belong to one group, with ``SLOT`` in place of its name.
        rows: Names of tensors with one row per group, base group first: group heads.
        shared: Names of tensors shared by all groups: the trunk.
    """

    templates: tuple[str, ...]
    rows: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def judges(self) -> frozenset[str]:
        """The names in ``templates`` that belong to discriminators, which are not needed for translating."""
        return frozenset(name for name in self.templates if name.startswith("discriminators."))

    def names(self, group: str) -> dict[str, str]:
        """Return the template and name of each tensor of a group."""
        return {template: template.replace(SLOT, group) for template in self.templates}


class GroupDescription(Description):
    """The description in a group file.

    Attributes:
        group: The name of the group.
        base: The base group of its model.
        fingerprint: Fingerprint of the parts shared by all groups, see `StoredModel.fingerprint`.
        structure: The options that determine the model's networks.
        providers: Kind of component to name and version of its distribution.
        version: The version of i2i that wrote it.
    """

    group: GroupName
    base: GroupName
    fingerprint: str
    structure: dict[str, Any]
    providers: dict[str, str] = {}
    version: str = ""


@dataclass(frozen=True)
class StoredModel:
    """A model as stored in its file; groups can be changed without building the networks.

    Attributes:
        description: The description in the file.
        tensors: Weights by name.
        ownership: The owner of each tensor.
    """

    description: ModelDescription
    tensors: Mapping[str, Tensor]
    ownership: TensorOwnership

    @property
    def base(self) -> str:
        """The base group."""
        return self.description.base

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups other than the base."""
        return self.description.groups

    @property
    def size(self) -> int:
        """Size of all weights in bytes."""
        return weigh(self.tensors.values())

    def part(self, group: str) -> dict[str, Tensor]:
        """Return the tensors of a group or the base group by template, and its rows, ``(1, ...)``, by name.

        Raises:
            ConfigError: There is no such group.
        """
        place = self._place(group)
        tensors = {t: self.tensors[name] for t, name in self.ownership.names(group).items() if name in self.tensors}
        return tensors | {name: self.tensors[name][place : place + 1] for name in self.ownership.rows}

    def fingerprint(self) -> str:
        """Return the SHA-256 of the structure and all trunk weights, which all groups share."""
        digest = hashlib.sha256(json.dumps(self.description.structure, sort_keys=True).encode())
        for name in sorted(self.ownership.shared):
            feed(digest, name, self.tensors[name])
        return digest.hexdigest()

    def without(self, group: str) -> StoredModel:
        """Return the model without a group; the others stay unchanged.

        Raises:
            ConfigError: The group does not exist, is the base, or is the only new group.
        """
        place = self._place(group)
        if group == self.base:
            raise ConfigError(f"'{group}' is the base group, which every other one starts from. Remove another.")
        if len(self.groups) == 1:
            raise ConfigError(f"'{group}' is the only group other than the base. Use the base model instead.")
        gone = set(self.ownership.names(group).values())
        kept = {name: tensor for name, tensor in self.tensors.items() if name not in gone}
        rows = {n: torch.cat([kept[n][:place], kept[n][place + 1 :]]) for n in self.ownership.rows}
        return self._with(tuple(g for g in self.groups if g != group), kept | rows)

    def adding(self, group: str, part: Mapping[str, Tensor]) -> StoredModel:
        """Return the model with one more group; the others stay unchanged.

        Raises:
            ConfigError: The group already exists, or its name is invalid.
        """
        check_group_name(group)
        if group in (self.base, *self.groups):
            raise ConfigError(f"The model has a group '{group}' already. Give the new one another name with --name.")
        tensors = {template.replace(SLOT, group): part[template] for template in self.ownership.templates}
        rows = {name: torch.cat([self.tensors[name], part[name]]) for name in self.ownership.rows}
        return self._with((*self.groups, group), {**self.tensors, **tensors, **rows})

    def _with(self, groups: tuple[str, ...], tensors: Mapping[str, Tensor]) -> StoredModel:
        return replace(self, description=self.description.model_copy(update={"groups": groups}), tensors=tensors)

    def _place(self, group: str) -> int:
        known = (self.base, *self.groups)
        refuse_unknown_group(group, known)
        return known.index(group)


def open_model(path: Path, registry: Registry) -> StoredModel:
    """Read a model and the owner of each of its tensors.

    Args:
        path: A run folder or a ``.safetensors`` model.
        registry: Provides its components.

    Raises:
        CheckpointError: The model is missing, or does not match the installed plugins.
    """
    file = TensorFile(model_file(path))
    description = described(file)
    components = resolve_described(description, file.path, registry)
    tensors = read_model_tensors(components, description, file)
    return StoredModel(description.complete(), tensors, tensor_ownership(components, description, tensors))


def read_model_tensors(chosen: Components, description: ModelDescription, file: TensorFile) -> dict[str, Tensor]:
    """Return all tensors of a model, checked against the networks that its file describes.

    Raises:
        CheckpointError: They do not fit those networks, or hold NaN or infinity.
        WeightsError: The file leaves out a pretrained network, and this machine lacks its weights or has others.
    """
    return read_model_weights(outline(chosen, description.base, description.groups), file)


def as_stored(model: Model) -> StoredModel:
    """Return a model as it would be stored in a file."""
    description, tensors = describe(model), model.backbone.state_dict()
    ownership = tensor_ownership(model.components, description, tensors)
    return StoredModel(description, {name: t.detach().cpu() for name, t in tensors.items()}, ownership)


def tensor_ownership(
    chosen: Components, description: ModelDescription, tensors: Mapping[str, Tensor]
) -> TensorOwnership:
    """Find the owner of each tensor by comparing the model with one that has one more group."""
    base, groups = description.base, description.groups
    if not groups:
        return TensorOwnership((), (), tuple(tensors))
    larger = outline(chosen, base, [*groups, SLOT]).backbone.state_dict()
    templates = tuple(name for name in larger if SLOT in name)
    branches = {template.replace(SLOT, group) for template in templates for group in (base, *groups)}
    rows = tuple(name for name, tensor in tensors.items() if name in larger and larger[name].shape != tensor.shape)
    return TensorOwnership(templates, rows, tuple(name for name in tensors if name not in branches | set(rows)))


def export(model: StoredModel, group: str, out: Path, judges: bool = True) -> int:
    """Write a group's tensors to a self-describing file; return their size in bytes.

    Args:
        model: The model.
        group: The group.
        out: The file.
        judges: Include the group's discriminators, which are large and only needed for training.

    Raises:
        ConfigError: The group does not exist, or its transfer does not give groups separate tensors.
    """
    part = model.part(group)
    if group == model.base or not part:
        what = "is the base group" if group == model.base else "has no tensors of its own, like all other groups"
        raise ConfigError(f"'{group}' {what}, so it cannot be exported alone. Copy the model's file.")
    part = {name: tensor for name, tensor in part.items() if judges or name not in model.ownership.judges}
    description = GroupDescription(
        group=group,
        base=model.base,
        fingerprint=model.fingerprint(),
        structure=model.description.structure,
        providers=model.description.providers,
        version=i2i.__version__,
    )
    write(out, part, description.content())
    return weigh(part.values())


def attach(model: StoredModel, file: Path, name: str | None = None) -> StoredModel:
    """Return the model with a group added from a file, optionally under a new name.

    A group stored without discriminators gets copies of the base's.

    Raises:
        CheckpointError: The file is not a group, or belongs to another base.
        ConfigError: The model already has a group of that name, or has no new groups.
    """
    stored = TensorFile(file)
    if not {"group", "fingerprint"} & stored.content.keys():
        raise CheckpointError(f"{file} holds no group. Name a file that i2i groups export wrote.")
    description = GroupDescription.of(stored.content, file)
    if not model.groups:
        raise ConfigError(
            f"A base model has no place for '{description.group}'. Name a model with groups of that base."
        )
    part = dict(stored)
    judges = {name: tensor for name, tensor in model.part(model.base).items() if name in model.ownership.judges}
    part = judges | part
    _check_base(model, description, part, file)
    likes = model.part(model.groups[0])
    fitting = {key: as_weight(part[key], like, f"{file} is damaged: {key}") for key, like in likes.items()}
    return model.adding(description.group if name is None else name, fitting)


def weigh(tensors: Iterable[Tensor]) -> int:
    """Return the size of tensors in bytes."""
    return sum(tensor.nbytes for tensor in tensors)


def _check_base(model: StoredModel, added: GroupDescription, part: Mapping[str, Tensor], file: Path) -> None:
    wanted, given = model.description.structure, added.structure
    odd = next((key for key in wanted if wanted[key] != given.get(key)), None)
    if odd is not None:
        raise CheckpointError(
            f"{file} holds '{added.group}' of another model: its {odd} is {given.get(odd)}, not "
            f"{wanted[odd]}. Attach it to a copy of the model that it was exported from."
        )
    fits = {name: (1, *model.tensors[name].shape[1:]) for name in model.ownership.rows}
    fits |= {t: tuple(model.tensors[n].shape) for t, n in model.ownership.names(model.groups[0]).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in part.items()}
    if fits != shapes or model.fingerprint() != added.fingerprint:
        what = "its groups are made of other layers" if fits != shapes else "the trunks' fingerprints differ"
        raise CheckpointError(
            f"{file} holds '{added.group}' of another base: {what}. A group translates well only over the very "
            "trunk that it was trained on: attach it to a copy of that model."
        )
