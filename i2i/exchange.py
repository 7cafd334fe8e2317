"""Other projects' checkpoints: recognise and read them into run folders, and write ours as theirs.

Files are read without running pickled code: torch's ``weights_only`` admits tensors and plain containers alone.
"""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from i2i.assemble import choose, choose_data
from i2i.branches import keep_branch
from i2i.checkpoint import save
from i2i.config import Section
from i2i.discriminator import GroupHead
from i2i.engine import seed_everything
from i2i.errors import CheckpointError, ConfigError
from i2i.files import whole_file
from i2i.folder import STAGE_FILES, claim, write_config
from i2i.format import CheckpointFormat, Imported
from i2i.model import Model
from i2i.plugins import Registry

Contents = dict[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Arrival:
    """What an import brought.

    Attributes:
        format: The name of the format that recognised the files.
        model: The model.
        file: Where it was saved.
        notes: Sentences that the user should read.
    """

    format: str
    model: Model
    file: Path
    notes: tuple[str, ...]


def import_checkpoint(
    path: Path, folder: Path, registry: Registry, *, size: int | None = None, data: Section | None = None,
    overwrite: bool = False,
) -> Arrival:  # fmt: skip
    """Read another project's checkpoint into a run folder that translates, and from which training can go on.

    Args:
        path: A file or a folder.
        folder: The run folder to make.
        registry: Where formats and components come from.
        size: Side of the training images in pixels, where the files do not tell; each format has a default.
        data: The ``data`` section of the run.
        overwrite: Replace the run that ``folder`` holds.

    Raises:
        CheckpointError: The files are missing, damaged, would run code, are of no known format, or do not fit it.
        ConfigError: ``folder`` holds something.
    """
    name, imported = _recognise(path, registry, size)
    stage = "transfer" if imported.groups else "base"
    published = {"preset": "paper", "transfer": {"name": "none"}}  # so that training goes on as the original's would
    chosen = choose({**published, **imported.config, "stages": [stage]}, registry)
    seed_everything(chosen.config.seed)
    model = Model(chosen, imported.base, imported.groups)
    notes = (*imported.notes, *_load(model, imported, path))
    section = choose_data({"data": data} if data else {}, registry).section
    claim(folder, overwrite)
    write_config(folder, chosen.config.model_copy(update={"data": section}), chosen.providers)
    file = folder / STAGE_FILES[stage]
    save(model, file)
    return Arrival(name, model, file, notes)


def export_checkpoint(
    model: Model, name: str, out: Path, registry: Registry, group: str | None = None, overwrite: bool = False
) -> list[Path]:
    """Write a model as another project's files, and return them.

    Args:
        model: The model.
        name: A format by its registered name.
        out: A folder; or a file, where the format is a single one.
        registry: Where formats come from.
        group: Export what serves this group alone, as a model without groups.
        overwrite: Replace files that are there.

    Raises:
        CheckpointError: The other project has no such model.
        ConfigError: There is no such group, ``out`` is a file but the format has several, or a file is there already.
    """
    contents = _write(registry.format(name)(), model if group is None else only(model, group))
    single_file = len(contents) == 1 and out.suffix != ""
    if out.suffix and not single_file:
        raise ConfigError(f"{name} consists of {len(contents)} files, {', '.join(contents)}. Name a folder: --out.")
    targets = [out] if single_file else [out / file for file in contents]
    existing = next((target for target in targets if target.exists()), None)
    if existing and not overwrite:
        raise ConfigError(f"{existing} exists already. Choose another --out, or replace it with --overwrite.")
    for target, content in zip(targets, contents.values(), strict=True):
        with whole_file(target) as temporary:
            torch.save(content, temporary)
    return targets


def only(model: Model, group: str) -> Model:
    """Return a copy of ``model`` that serves ``group`` alone, as its base, without branches and group heads.

    Raises:
        ConfigError: It does not serve that group.
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


def read_foreign(path: Path) -> Mapping[str, Any]:
    """Load a file that torch saved, without running code.

    Raises:
        CheckpointError: It is damaged, no dictionary, or would run code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on old pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, error)) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise CheckpointError(f"{path} is damaged, cut short, or not written by torch. Restore it.") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not networks by name. Name a checkpoint.")
    return content


def _write(format_: CheckpointFormat, model: Model) -> dict[str, dict[str, Any]]:
    if model.new_groups and not format_.holds_groups:
        one = f"--group {model.groups[-1]}"
        raise CheckpointError(
            f"The model serves groups ({', '.join(model.groups)}), {format_.name} holds one. Choose it: {one}."
        )
    return format_.write(model)


def _recognise(path: Path, registry: Registry, size: int | None) -> tuple[str, Imported]:
    if not path.exists():
        raise CheckpointError(f"{path} does not exist. Name a checkpoint file, or the folder that holds its files.")
    opened = cache(read_foreign)
    seen: dict[str, None] = {}
    for name in registry.names("format"):
        reader: CheckpointFormat = registry.format(name)()
        parts = {part: opened(file) for part, file in reader.find(path).items()}
        if parts and reader.recognises(parts):
            return name, _explained(reader, parts, size, path)
        seen |= dict.fromkeys(str(key) for content in parts.values() for key in content)
    raise CheckpointError(_unknown(path, list(seen), registry.names("format")))


def _explained(reader: CheckpointFormat, parts: Contents, size: int | None, path: Path) -> Imported:
    try:
        return reader.read(parts, size)
    except CheckpointError as error:
        raise CheckpointError(f"{path}, read as {reader.name}: {error}") from error


def _load(model: Model, imported: Imported, path: Path) -> list[str]:
    """Give the model its weights; say which whole networks the files lack."""
    state = model.backbone.state_dict()
    missing = state.keys() - imported.tensors.keys()
    lacking = {_network(key) for key in missing}
    partly = lacking & {_network(key) for key in imported.tensors}
    if partly or imported.tensors.keys() - state.keys():
        odd = sorted([*(key for key in missing if _network(key) in partly), *(imported.tensors.keys() - state.keys())])
        raise CheckpointError(f"{path} does not fit the model that its format describes, beginning with '{odd[0]}'.")
    model.backbone.load_state_dict({**state, **imported.tensors})
    return [f"{path} has no {_title(network)}: that network starts anew." for network in sorted(lacking)]


def _network(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _title(network: str) -> str:
    kind, key = network.split(".")
    return f"generator {key}" if kind == "generators" else f"discriminator of domain {key}"


def _refusal(path: Path, error: Exception) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"it asks for {found[1]}" if found else "it is more than a plain archive of tensors"
    return (
        f"{path} is refused: {what}, and reading it could run code. Get plain state dicts from its authors, or, where "
        "you trust it, load it yourself and save torch.save({name: network.state_dict()})."
    )


def _unknown(path: Path, keys: list[str], names: list[str]) -> str:
    more = ", …" if len(keys) > 5 else ""
    holds = f"holds {', '.join(keys[:5])}{more}" if keys else "has no files by the names that they use"
    return f"{path} {holds}, which is of no known format ({', '.join(names)}). Plugins can add formats."
