"""Write a model as another project's checkpoint files, or as a slim file of i2i."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from i2i.contracts.branches import keep_branch
from i2i.contracts.checkpoint_format import CheckpointFormat
from i2i.contracts.discriminator import GroupHead
from i2i.errors import CheckpointError, ConfigError
from i2i.models.checkpoint import save
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage.files import inside, refuse_existing, whole_file

SUFFIX = ".safetensors"


def export_checkpoint(
    model: Model, name: str, out: Path, registry: Registry, group: str | None = None, overwrite: bool = False,
    sources: Iterable[Path] = (),
) -> list[Path]:  # fmt: skip
    """Write a model as another project's files, and return them.

    Args:
        model: The model.
        name: The registered name of a format.
        out: A folder, or a file for single-file formats.
        registry: Provides the formats.
        group: Export only this group, as a model without groups.
        overwrite: Replace existing files.
        sources: The files the model was loaded from; never overwritten.

    Raises:
        CheckpointError: The format cannot represent this model.
        ConfigError: The group does not exist, ``out`` is a file but the format has several, or a file already exists.
    """
    model.read_judges()
    contents = _write(registry.get(CheckpointFormat, name)(registry), model if group is None else only(model, group))
    is_file = out.suffix != "" and not out.is_dir()
    single_file = len(contents) == 1 and is_file
    if is_file and not single_file:
        raise ConfigError(f"{name} consists of {len(contents)} files, {', '.join(contents)}. Name a folder: --out.")
    targets = [out] if single_file else [inside(out, file) for file in contents]
    refuse_existing(targets, overwrite, sources)
    for target, content in zip(targets, contents.values(), strict=True):
        with whole_file(target) as temporary:
            torch.save(content, temporary)
    return targets


def export_slim(
    model: Model, out: Path, group: str | None = None, overwrite: bool = False, sources: Iterable[Path] = ()
) -> None:
    """Write a model as a slim file of i2i, see `save`; the arguments are those of `export_checkpoint`.

    Raises:
        ConfigError: The group does not exist, ``out`` is no .safetensors file, or it already exists.
        WeightsError: The model comes from a slim file, and its pretrained networks are not on this machine.
    """
    if out.suffix != SUFFIX:
        raise ConfigError(f"{out} does not end in {SUFFIX}, as i2i's models do. Change --out, or choose a --format.")
    refuse_existing([out], overwrite, sources)
    model.read_judges()
    save(model if group is None else only(model, group), out, slim=True)


def only(model: Model, group: str) -> Model:
    """Return a copy of ``model`` with ``group`` as its base and only group, without branches and group heads.

    Raises:
        ConfigError: The model does not serve the group.
    """
    model.check_group(group)
    single = copy.copy(model)
    single.base, single.new_groups, single.transfer = group, (), None
    single.backbone = copy.deepcopy(model.backbone)
    keep_branch(single.backbone, group)
    for domain, judge in list(single.backbone.discriminators.items()):
        if isinstance(judge, GroupHead):
            single.backbone.discriminators[domain] = judge.judge
    return single


def _write(format_: CheckpointFormat, model: Model) -> dict[str, dict[str, Any]]:
    if model.new_groups and not format_.holds_groups:
        one = f"--group {model.groups[-1]}"
        raise CheckpointError(
            f"The model serves groups ({', '.join(model.groups)}), {format_.name} holds one. Choose it: {one}."
        )
    return format_.write(model.backbone, model.groups)
