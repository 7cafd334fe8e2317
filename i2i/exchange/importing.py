"""Importing other projects' checkpoints: recognise the format and read it into a run folder.

Files are read without running pickled code: torch's ``weights_only`` accepts only tensors and plain containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from i2i.compute.randomness import seed_everything
from i2i.config.options import Section
from i2i.contracts.checkpoint_format import CHECKPOINT_SUFFIXES, CheckpointFormat, Imported
from i2i.errors import CheckpointError, I2IError
from i2i.exchange.wrappers import precisions, prefixes, unwrapped
from i2i.models.assembly import resolve
from i2i.models.checkpoint import as_weight, save
from i2i.models.data import resolve_data
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.storage.files import oddity
from i2i.storage.run_folder import CONFIG_FILE, STAGE_FILES, claim, write_config
from i2i.storage.tensor_file import find_broken
from i2i.storage.torch_file import read_torch_file

Contents = dict[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ImportResult:
    """The result of an import.

    Attributes:
        format: The name of the recognised format.
        model: The model.
        file: The saved model file.
        sources: The files read.
        notes: Notes for the user.
    """

    format: str
    model: Model
    file: Path
    sources: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A possible format, with the files it would read and their contents; ``rivals`` fit the same folder."""

    reader: CheckpointFormat
    files: dict[str, Path]
    parts: Contents
    wrappers: tuple[str, ...] = ()
    rivals: tuple[Candidate, ...] = ()

    def unwrapped(self) -> Candidate:
        """Return the candidate with what is inside the wrappers of its files."""
        inside = {part: unwrapped(content) for part, content in self.parts.items()}
        keys = dict.fromkeys(".".join(path) for _, path in inside.values() if path)
        return replace(self, parts={part: content for part, (content, _) in inside.items()}, wrappers=tuple(keys))

    @property
    def notes(self) -> list[str]:
        """What else was there, and what was looked through to find the networks."""
        taken_as = f"The folder was read as {self.reader.name}."
        others = [f"{taken_as} It also has {rival.title}: name a file of it to import that." for rival in self.rivals]
        makers = dict.fromkeys(who for content in self.parts.values() for who in prefixes(content))
        taken = [f"The networks were found under '{key}'." for key in self.wrappers]
        return [*others, *taken, *(f"The prefix that {who} puts before names was dropped." for who in makers)]

    @property
    def title(self) -> str:
        """The format and its files."""
        return f"{self.reader.name} ({', '.join(file.name for file in self.files.values())})"


def import_checkpoint(
    path: Path, folder: Path, registry: Registry, *, size: int | None = None, data: Section | None = None,
    overwrite: bool = False,
) -> ImportResult:  # fmt: skip
    """Import another project's checkpoint into a run folder, for translating and further training.

    Args:
        path: A file or a folder.
        folder: The run folder to create.
        registry: Provides formats and components.
        size: Side of the training images in pixels, if not given in the files; each format has a default.
        data: The ``data`` section of the run; None leaves it empty, since the files do not name any.
        overwrite: Replace an existing run in ``folder``.

    Raises:
        CheckpointError: The files are missing, damaged, would run code, match no known format, or do not fit the
            format.
        ConfigError: ``folder`` is not empty, or ``data`` is invalid.
        DataError: The data cannot be used.
    """
    candidate = _recognise(path, registry)
    imported = _read(candidate, size, path)
    stage = "transfer" if imported.groups else "base"
    published = {"preset": "paper", "transfer": {"name": "none"}}  # so that training continues as in the original
    chosen = resolve({**published, **imported.config, "stages": [stage]}, registry)
    seed_everything(chosen.config.seed)
    model = Model(chosen, imported.base, imported.groups)
    model.prepare(PretrainedNetworks(registry))
    notes = (*candidate.notes, *imported.notes, *_load(model, imported, path))
    section = {} if data is None else _checked(data, registry)
    claim(folder, overwrite)
    write_config(folder, chosen.config.model_copy(update={"data": section}), chosen.providers)
    file = folder / STAGE_FILES[stage]
    try:
        save(model, file)
    except BaseException:  # including Ctrl-C: a run without its model would train from scratch when resumed
        (folder / CONFIG_FILE).unlink()
        raise
    return ImportResult(candidate.reader.name, model, file, tuple(candidate.files.values()), notes)


def read_foreign(path: Path) -> Mapping[str, Any]:
    """Load a file saved by torch, without running code.

    Raises:
        CheckpointError: The file is damaged, not a dictionary, or would run code.
    """
    content = read_torch_file(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not networks by name. Name a checkpoint.")
    return content


def _recognise(path: Path, registry: Registry) -> Candidate:
    if not path.exists():
        raise CheckpointError(f"{path} does not exist. Name a checkpoint file, or the folder that holds its files.")
    opened = cache(read_foreign)
    readers: list[CheckpointFormat] = [
        registry.get(CheckpointFormat, name)(registry) for name in registry.names(CheckpointFormat)
    ]
    named = [(reader, files) for reader in readers if (files := reader.find(path))]
    if not named and path.is_dir() and len(only := _checkpoints(path)) == 1:
        return _recognise(only[0], registry)
    candidates = [Candidate(r, files, {part: opened(file) for part, file in files.items()}) for r, files in named]
    fitting = _fitting(candidates) or _fitting([candidate.unwrapped() for candidate in candidates])
    if not fitting:
        raise CheckpointError(_unknown(path, candidates, ", ".join(registry.names(CheckpointFormat))))
    return replace(fitting[0], rivals=tuple(fitting[1:] if path.is_dir() else ()))


def _fitting(candidates: list[Candidate]) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.reader.recognises(candidate.parts)]


def _read(candidate: Candidate, size: int | None, path: Path) -> Imported:
    try:
        return candidate.reader.read(candidate.parts, size)
    except I2IError as error:
        raise CheckpointError(f"{path}, read as {candidate.reader.name}: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(  # caused by impossible shapes
            f"{path}, read as {candidate.reader.name}, has parameters that no such model can have "
            f"({type(error).__name__}). It is damaged, or of another model."
        ) from error


def _checked(data: Section, registry: Registry) -> Section:
    choice = resolve_data({"data": data}, registry)
    choice.build()  # fails if a folder is missing
    return choice.section


def _load(model: Model, imported: Imported, path: Path) -> list[str]:
    """Load the weights; return a note on networks missing from the files."""
    state = model.backbone.state_dict()
    missing = state.keys() - imported.tensors.keys()
    lacking = {_network(key) for key in missing}
    partly = lacking & {_network(key) for key in imported.tensors}
    if partly or imported.tensors.keys() - state.keys():
        odd = sorted([*(key for key in missing if _network(key) in partly), *(imported.tensors.keys() - state.keys())])
        raise CheckpointError(f"{path} does not fit the model that its format describes, beginning with '{odd[0]}'.")
    broken = find_broken(imported.tensors)
    if broken is not None:
        raise CheckpointError(
            f"{path} holds NaN or infinity, first in our '{broken}'. Its training had diverged: take an earlier file."
        )
    fitting = {key: as_weight(one, state[key], f"{path}: our '{key}'") for key, one in imported.tensors.items()}
    model.backbone.load_state_dict({**state, **fitting})
    converted = [f"Weights were converted from {kind} to float32." for kind in precisions(imported.tensors)]
    return converted + [
        f"{path} has no {_title(network)}: that network starts from random weights." for network in sorted(lacking)
    ]


def _network(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _title(network: str) -> str:
    kind, key = network.split(".")
    return f"generator {key}" if kind == "generators" else f"discriminator of domain {key}"


def _unknown(path: Path, candidates: list[Candidate], names: str) -> str:
    if (path / CONFIG_FILE).is_file() or path.suffix == ".safetensors":
        return f"{path} looks like a model of i2i, which needs no import. Use it as it is: i2i translate."
    if not candidates:
        return _unnamed(path, names)
    keys = list(dict.fromkeys(str(key) for one in candidates for content in one.parts.values() for key in content))
    holds = f"holds {', '.join(keys[:5])}{', …' if len(keys) > 5 else ''}" if keys else "is empty"
    return f"{path} {holds}, which is not a known format ({names}). Plugins can add formats."


def _unnamed(path: Path, names: str) -> str:
    """Return the message for a path that no format accepts by its name, with a suggestion."""
    if not path.is_dir():
        if odd := oddity(path):
            return f"{path} {odd}. Name a checkpoint file, or the folder that holds its files."
        endings = f"{', '.join(CHECKPOINT_SUFFIXES[:-1])} or {CHECKPOINT_SUFFIXES[-1]}"
        return f"{path} does not end in {endings}, as files of the known formats do ({names}). Rename it if it is one."
    files = _checkpoints(path)
    instead = f"Name a file in it, such as {files[-1]}." if files else "Name a checkpoint file."
    return f"{path} has no files by the names that known formats use in a folder ({names}). {instead}"


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in CHECKPOINT_SUFFIXES)
