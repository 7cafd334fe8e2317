"""Pretrained networks of discriminators, which never change: left out of a slim file, and found again on a machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.contracts.discriminator import Discriminator
from i2i.contracts.pretrained import Pretrained
from i2i.errors import WeightsError
from i2i.models.components import Components
from i2i.models.description import LeftOut, described
from i2i.pretrained.networks import PretrainedNetworks
from i2i.storage.tensor_file import TensorFile, feed


def prepare_judges(network: nn.Module, pretrained: Pretrained) -> None:
    """Load the pretrained weights of all discriminators in a network, including parts of joined ones.

    Raises:
        WeightsError: Weights named in the options are missing, damaged, or from another network.
    """
    for _, judge in _judges(network):
        judge.prepare(pretrained)


def removable(network: nn.Module, chosen: Components) -> tuple[LeftOut, ...]:
    """Return the pretrained networks that a file need not hold, since this machine has exactly their weights.

    Networks with any other weights, such as random ones, are not among them.

    Args:
        network: The backbone of a model.
        chosen: The components of the model.
    """
    here = _find(chosen).networks
    digests = {path: _digest(part.state_dict()) for path, part in _pretrained_parts(network)}
    return tuple(
        LeftOut(path=path, title=here[sha256].title, sha256=sha256)
        for path, sha256 in digests.items()
        if sha256 in here
    )


class ModelWeights:
    """The weights of a model: those in its file, and those it leaves out, found on this machine when first needed.

    Args:
        file: The model's file.
        chosen: The components of the model.

    Attributes:
        path: The file.
    """

    def __init__(self, file: TensorFile, chosen: Components) -> None:
        self.path = file.path
        self._file, self._chosen = file, chosen
        self._left_out = described(file).left_out

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor by its name in the model.

        Raises:
            CheckpointError: The file is damaged.
            WeightsError: The tensor is left out, and this machine lacks the weights of its network or has others.
        """
        part = next((part for part in self._left_out if part.holds(name)), None)
        if part is None:
            return self._file[name]
        network = self._here.networks.get(part.sha256)
        inner = name.removeprefix(f"{part.path}.")
        if network is None or inner not in network.state:
            raise WeightsError(_lacking(self.path, part, self._here))
        return network.state[inner]

    @cached_property
    def _here(self) -> _Found:
        return _find(self._chosen)


@dataclass(frozen=True)
class _Network:
    """The title and the weights of a pretrained network."""

    title: str
    state: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Found:
    """The pretrained networks on this machine, by digest, and why weights are missing, if any are."""

    networks: Mapping[str, _Network]
    reason: str = ""


def _find(chosen: Components) -> _Found:
    """Return the pretrained networks of a discriminator as before its training, leaving the random state alone."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        whole = chosen.build_discriminator()
    try:
        prepare_judges(whole, PretrainedNetworks(chosen.registry))
    except WeightsError as error:
        return _Found({}, str(error))
    networks = [_Network(_title(part), part.state_dict()) for _, part in _pretrained_parts(whole)]
    reason = " ".join(judge.note for _, judge in _judges(whole) if judge.pretrained and judge.note)
    return _Found({_digest(network.state): network for network in networks}, reason)


def _judges(network: nn.Module) -> Iterator[tuple[str, Discriminator]]:
    return ((path, module) for path, module in network.named_modules() if isinstance(module, Discriminator))


def _pretrained_parts(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the path and module of everything that discriminators declare pretrained; branches of it do not count."""
    modules = dict(network.named_modules())
    for path, judge in _judges(network):
        for name in judge.pretrained:
            whole = f"{path}.{name}" if path else name
            if whole in modules:
                yield whole, modules[whole]


def _digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        feed(digest, name, tensor.detach().cpu())
    return digest.hexdigest()


def _title(network: nn.Module) -> str:
    return str(getattr(network, "title", type(network).__name__))


def _lacking(path: Path, part: LeftOut, here: _Found) -> str:
    others = ", ".join(f"{network.title} with SHA-256 {sha256}" for sha256, network in here.networks.items())
    reason = here.reason or f"This machine has {others or 'none'}. Restore the weights that the file was written with."
    return (
        f"{path} leaves out {part.title} with SHA-256 {part.sha256}, a pretrained network of the discriminators, which "
        f"training needs and translating does not. {reason}"
    )
