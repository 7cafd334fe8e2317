"""Pretrained networks by name, with weights from this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.contracts.pretrained import FeatureNetwork
from i2i.contracts.weights import FoundWeights, WeightsSource
from i2i.pretrained.weights import fill, find, read
from i2i.registry.registry import Registry


@dataclass(frozen=True)
class PretrainedNetworks:
    """The pretrained networks of a registry's plugins, as `i2i.Pretrained` describes them.

    Each feature network is built once per registry, name, weights file and device.

    Args:
        registry: Provides networks and weights sources.
    """

    registry: Registry

    def features(self, name: str, weights: str | None, device: torch.device) -> FeatureNetwork:
        """Return a feature network with its weights, frozen and in eval mode."""
        return _network(self.registry, name, weights, device)

    def find(self, network: str, path: str | Path | None = None, also: Iterable[WeightsSource] = ()) -> FoundWeights:
        """Find the weights file of a network, without reading it."""
        return find(self.registry, network, path, also)

    def load(
        self, network: str, path: str | Path | None = None, also: Iterable[WeightsSource] = ()
    ) -> dict[str, Tensor]:
        """Find, verify and read the weights of a network."""
        return read(self.find(network, path, also))

    def fill(
        self,
        module: nn.Module,
        network: str,
        path: str | Path | None = None,
        also: Iterable[WeightsSource] = (),
        convert: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict,
    ) -> FoundWeights:
        """Load the weights of a network into a module, and return their file."""
        weights = self.find(network, path, also)
        if path is not None or not any(tensor.is_meta for tensor in module.state_dict().values()):
            fill(module, convert(read(weights)), network)
        return weights


@lru_cache(maxsize=16)
def _network(registry: Registry, name: str, path: str | None, device: torch.device) -> FeatureNetwork:
    kind, _, variant = name.partition(":")
    with torch.device("meta" if device.type == "meta" else "cpu"):
        network = registry.get(FeatureNetwork, kind)(variant)
    network.prepare(PretrainedNetworks(registry), path)
    return network.eval().requires_grad_(False).to(device)
