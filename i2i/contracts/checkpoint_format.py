"""The checkpoint format contract: reading and writing the models of other projects."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from i2i.config.options import Section, as_written
from i2i.contracts.backbone import Backbone
from i2i.contracts.dataset import ONLY_GROUP
from i2i.contracts.discriminator import Discriminator
from i2i.contracts.generator import Generator
from i2i.contracts.lookup import Lookup
from i2i.errors import CheckpointError

CheckpointParts = Mapping[str, Mapping[str, Any]]
N = TypeVar("N", bound=Generator | Discriminator)
CHECKPOINT_SUFFIXES = (".pt", ".pth", ".pkl", ".ckpt")
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Imported:
    """Another project's model, converted to i2i's configuration and keys.

    Attributes:
        config: Content of ``run.toml``: ``size``, ``backbone`` and the other components with their options.
        tensors: State dict of the model, with keys such as ``generators.a2b.…``. A network that the original was
            saved without may be missing; it starts from random weights.
        base: The base group.
        groups: The other groups; ``config`` names the transfer that added them.
        notes: Sentences to show the user.
    """

    config: Section
    tensors: dict[str, Tensor]
    base: str = ONLY_GROUP
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class CheckpointFormat(ABC):
    """A reader and writer of another project's checkpoints. The core opens the files, without running pickle code.

    Args:
        lookup: The installed components, for formats that need networks from another plugin.

    Attributes:
        name: The name in the registry, for ``i2i export --format``.
        holds_groups: Whether `write` supports branches; if not, it only gets models without groups.
    """

    name: ClassVar[str]
    holds_groups: ClassVar[bool] = False

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup

    def find(self, path: Path) -> dict[str, Path]:
        """Return the files of the checkpoint at ``path``, a file or folder, by part.

        Looks at names only; {} means that the path cannot have this format. By default a format has a single part,
        ``file``.
        """
        return {"file": path} if path.is_file() and path.suffix.lower() in CHECKPOINT_SUFFIXES else {}

    @abstractmethod
    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether the files' contents, by part, have this format."""

    @abstractmethod
    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Convert the files' contents to a model; infer widths and options from shapes.

        Args:
            parts: Loaded content of the files from `find`.
            size: Side of the training images, if given by the user; few files record it.

        Raises:
            CheckpointError: A parameter is missing, unexpected, or of an impossible shape.
        """

    @abstractmethod
    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the content of each file, by name, in the form that the original project loads.

        Args:
            backbone: The networks.
            groups: Every group of the model, the base group first.

        Raises:
            CheckpointError: The original project does not support such a model.
        """


def from_published(state: Mapping[str, Tensor], network: Generator | Discriminator, whose: str) -> dict[str, Tensor]:
    """Rename the keys of a published state dict to those of ``network``, which may be on the meta device.

    Args:
        state: The published state dict; DataParallel's ``module.`` prefix is dropped.
        network: The network to load it into, without branches or heads.
        whose: Name of the state dict for messages, such as its key in the file.

    Raises:
        CheckpointError: A parameter is missing, unexpected, or of another shape.
    """
    state = without_module_prefix(state)
    keys, ours = network.published_keys(), network.state_dict()
    _compare(set(keys.values()), set(state), whose)
    odd = next((theirs for theirs in keys.values() if not isinstance(state[theirs], Tensor)), None)
    if odd is not None:
        raise CheckpointError(f"{whose}: '{odd}' is not a tensor. The file is damaged, or belongs to another model.")
    wrong = next((key for key, theirs in keys.items() if ours[key].shape != state[theirs].shape), None)
    if wrong is not None:
        actual, expected = (tuple(tensor.shape) for tensor in (state[keys[wrong]], ours[wrong]))
        raise CheckpointError(f"{whose}: '{keys[wrong]}' has the shape {actual}, where {expected} was expected.")
    return {key: state[theirs] for key, theirs in keys.items()}


def published_network(network: nn.Module, kind: type[N], whose: str, names: Sequence[str] = ()) -> N:
    """Return a generator or discriminator, if it is one that the other project has.

    Args:
        network: The network to export.
        kind: Its class, or a base class.
        whose: The other project's name for messages.
        names: The names of the other project's networks in i2i's registry; by default that of ``kind``.

    Raises:
        CheckpointError: ``network`` is another one, or has options that the other project lacks.
    """
    known, name = names or (kind.name,), getattr(network, "name", type(network).__name__)
    option = "generator" if issubclass(kind, Generator) else "discriminator"
    if not isinstance(network, kind) or name not in known:
        raise CheckpointError(
            f"{whose} has no {option} like '{name}', only {' and '.join(map(repr, known))}. Only a model trained with "
            f"--{option} {known[0]} can be exported in this format."
        )
    lacking = {key: value for key, value in network.published_with.items() if getattr(network.config, key) != value}
    if lacking:
        typed = " and ".join(_typed(option, name, value) for name, value in lacking.items())
        raise CheckpointError(
            f"{whose} has no {option} like this one. Only a model trained with {typed} can be exported in this format."
        )
    return network


def published_judges(judges: nn.ModuleDict, kind: type[N], whose: str, names: Sequence[str] = ()) -> dict[str, N]:
    """Return discriminators by domain; or none, with a note to the user, if the other project has no such ones.

    This is for projects that keep discriminators in files of their own and translate without them.

    Args:
        judges: The discriminators to export, by domain.
        kind: Their class, or a base class.
        whose: The other project's name for the note.
        names: The names of the other project's discriminators in i2i's registry; by default that of ``kind``.
    """
    try:
        return {domain: published_network(judge, kind, whose, names) for domain, judge in judges.items()}
    except CheckpointError:
        _LOGGER.warning(
            "note: %s has no such discriminators, so only the generators are written. They translate there, but "
            "cannot be trained further. A model trained with --discriminator %s, as it is there, is written whole.",
            whose, (names or (kind.name,))[0],
        )  # fmt: skip
        return {}


def to_published(network: Generator | Discriminator) -> dict[str, Tensor]:
    """Return the state dict of ``network``, without branches or heads, under its published keys."""
    state = network.state_dict()
    return {theirs: state[key].detach().cpu() for key, theirs in network.published_keys().items()}


def without_module_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefixes that wrappers add to keys: DataParallel's ``module.`` and torch.compile's ``_orig_mod.``."""
    return {re.sub(r"^(?:module\.|_orig_mod\.)+", "", str(key)): tensor for key, tensor in state.items()}


def join_states(states: Mapping[str, Mapping[str, Tensor]], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Join the state dicts that there are: for each pair of ``names``, keys of ``states[name]`` follow ``prefix.``."""
    return {f"{prefix}.{key}": tensor for prefix, name in names.items() for key, tensor in states.get(name, {}).items()}


def split_states(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, dict[str, Tensor]]:
    """Undo `join_states`."""
    states: dict[str, dict[str, Tensor]] = {name: {} for name in names.values()}
    for key, tensor in state.items():
        prefix, _, rest = key.partition(".")
        states[names[prefix]][rest] = tensor
    return states


def output_width(state: Mapping[str, Tensor], key: str, whose: str) -> int:
    """Return the number of outputs of the layer whose weight is at ``key``.

    Raises:
        CheckpointError: The layer is missing.
    """
    if not isinstance(state.get(key), Tensor):
        raise CheckpointError(f"{whose} has no '{key}'. It is cut short, or belongs to another model.")
    return state[key].shape[0]


def _typed(part: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{part}.{name}" if value else f"--{part}.no-{name}"
    return f"--{part}.{name} {as_written(value)}"


def _compare(expected: set[str], actual: set[str], whose: str) -> None:
    if expected != actual:
        missing, extra = _some(expected - actual), _some(actual - expected)
        raise CheckpointError(
            f"{whose} does not fit: missing {missing}, left over {extra}. It belongs to another model."
        )


def _some(keys: Iterable[str]) -> str:
    first, *rest = sorted(keys) or ["nothing"]
    return f"{first} and {len(rest)} more" if rest else first
