"""The checkpoint format contract: how another project saves its models, and how they become ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from i2i.config.options import Section
from i2i.contracts.backbone import Backbone
from i2i.contracts.dataset import ONLY_GROUP
from i2i.contracts.discriminator import Discriminator
from i2i.contracts.generator import Generator
from i2i.contracts.lookup import Lookup
from i2i.errors import CheckpointError

CheckpointParts = Mapping[str, Mapping[str, Any]]
CHECKPOINT_SUFFIXES = (".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True)
class Imported:
    """Another project's model in our terms.

    Attributes:
        config: What ``run.toml`` would hold: ``size``, ``backbone`` and the other components with their options.
        tensors: State of the model that ``config`` describes, by ``generators.a2b.…`` and so on. A whole network
            may be missing, where the original was saved without it; it starts from random weights.
        base: The base group.
        groups: The further groups; ``config`` names the transfer that made them.
        notes: Sentences that the user should read.
    """

    config: Section
    tensors: dict[str, Tensor]
    base: str = ONLY_GROUP
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class CheckpointFormat(ABC):
    """Reads and writes the checkpoint files of another project. The core opens the files, without running pickle code.

    Args:
        lookup: The installed components, for formats whose networks come from another plugin.

    Attributes:
        name: The name in the registry, for ``i2i export --format``.
        holds_groups: Whether `write` can write a model with branches; else it is handed models without groups alone.
    """

    name: ClassVar[str]
    holds_groups: ClassVar[bool] = False

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup

    def find(self, path: Path) -> dict[str, Path]:
        """Return the files that make up the checkpoint at ``path``, a file or folder, by part.

        Names alone decide, and {} means that the path cannot be of this format. By default a format is one file,
        and its part is called ``file``.
        """
        return {"file": path} if path.is_file() and path.suffix.lower() in CHECKPOINT_SUFFIXES else {}

    @abstractmethod
    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether the content of the files, by part, has this format."""

    @abstractmethod
    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Turn the files' contents into a model; widths and options are inferred from shapes.

        Args:
            parts: What `find` named, loaded.
            size: Side of the training images, if the user gave it; most files do not say.

        Raises:
            CheckpointError: A parameter is missing, left over, or of an impossible shape.
        """

    @abstractmethod
    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what each file of the format, by name, must hold for the original project to load the model.

        Args:
            backbone: The networks.
            groups: Every group that they serve, the base group first.

        Raises:
            CheckpointError: The original has no such model.
        """


def from_published(state: Mapping[str, Tensor], network: Generator | Discriminator, whose: str) -> dict[str, Tensor]:
    """Rename a published state dict for ``network``, which may live on the meta device.

    Args:
        state: The published state dict; a ``module.`` that DataParallel left before every key is dropped.
        network: The network that is to take it, without branches or heads.
        whose: The name of the state in messages, such as its name in the file.

    Raises:
        CheckpointError: A parameter is missing, left over, or of another shape.
    """
    state = without_module_prefix(state)
    keys, own = network.published_keys(), network.state_dict()
    _compare(set(keys.values()), set(state), whose)
    odd = next((theirs for theirs in keys.values() if not isinstance(state[theirs], Tensor)), None)
    if odd is not None:
        raise CheckpointError(f"{whose}: '{odd}' is not a tensor. The file is damaged, or belongs to another model.")
    wrong = next((key for key, theirs in keys.items() if own[key].shape != state[theirs].shape), None)
    if wrong is not None:
        found, expected = (tuple(tensor.shape) for tensor in (state[keys[wrong]], own[wrong]))
        raise CheckpointError(f"{whose}: '{keys[wrong]}' has the shape {found}, where {expected} was expected.")
    return {key: state[theirs] for key, theirs in keys.items()}


def to_published(network: Generator | Discriminator) -> dict[str, Tensor]:
    """Return the state dict of ``network``, without branches or heads, under its published keys."""
    state = network.state_dict()
    return {theirs: state[key].detach().cpu() for key, theirs in network.published_keys().items()}


def without_module_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the ``module.`` that torch's DataParallel puts before every key."""
    return {str(key).removeprefix("module."): tensor for key, tensor in state.items()}


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
    """Return the number of outputs of a layer, by the key of its weight.

    Raises:
        CheckpointError: There is no such layer.
    """
    if not isinstance(state.get(key), Tensor):
        raise CheckpointError(f"{whose} has no '{key}'. It is cut short, or belongs to another model.")
    return state[key].shape[0]


def _compare(expected: set[str], found: set[str], whose: str) -> None:
    if expected != found:
        missing, extra = _some(expected - found), _some(found - expected)
        raise CheckpointError(
            f"{whose} does not fit: missing {missing}, left over {extra}. It belongs to another model."
        )


def _some(keys: Iterable[str]) -> str:
    first, *rest = sorted(keys) or ["nothing"]
    return f"{first} and {len(rest)} more" if rest else first
