"""The least memory that a training step needs, from shapes alone, and refusing a run that the machine cannot hold.

Networks are built and run on the meta device, which computes shapes and allocates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from i2i.compute.memory import machine_memory
from i2i.compute.units import byte_size, millions
from i2i.config.run import RunConfig
from i2i.contracts.branches import routed
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.errors import ConfigError
from i2i.models.components import DIRECTIONS, Components
from i2i.models.model import Model
from i2i.models.size import FLOAT, ModelSize, bounded
from i2i.runs.checks import Outlines, first_draw, groups_of

_MOMENTS = {"adam": 2, "muon": 1}  # that the optimizer keeps of each parameter; of a stranger's none is known
_FEW = 4  # new groups; a model with so few is outlined whole, as later checks do


@dataclass(frozen=True)
class Footprint:
    """A lower bound on the memory of a training step, in bytes.

    Attributes:
        moments: Of each parameter, kept by the optimizer.
        parameters: Number of parameters of all networks.
        samples: Images of one domain that a step loads.
        images: Memory of the loaded images.
        activations: Memory of what one translation per direction keeps for the backward pass.
    """

    moments: int
    parameters: int = 0
    samples: int = 0
    images: int = 0
    activations: int = 0

    @property
    def trained(self) -> int:
        """That of the parameters, their gradients and their moments."""
        return self.parameters * (2 + self.moments) * FLOAT

    @property
    def total(self) -> int:
        """All of it."""
        return self.trained + self.images + self.activations

    def __str__(self) -> str:
        parts = {
            f"{millions(self.parameters)} parameters with gradients and optimizer": self.trained,
            f"{self.samples:,} images per domain": self.images,
            "activations": self.activations,
        }
        return ", ".join(f"{byte_size(size)} for {what}" for what, size in parts.items() if size)


def check_memory(outlines: Outlines, dataset: Dataset, device: torch.device) -> None:
    """Refuse a run whose steps need more memory than a device has.

    Args:
        outlines: Those of the run.
        dataset: The data.
        device: Where to train.

    Raises:
        ConfigError: The least memory that a step needs exceeds that of the device; the message explains the estimate.
    """
    memory = machine_memory(device)
    if memory is None:
        return
    components, config = outlines.components, outlines.components.config
    loaded = config.batch_size * config.accumulate
    nothing = Footprint(_MOMENTS.get(config.backbone["optimizer"], 0))
    _refuse(replace(nothing, samples=loaded, images=_image_bytes(loaded, config)), memory, config, ())
    base, groups = groups_of(components, dataset)
    with bounded("backbone", components.backbone, networks=4):
        model = outlines.of(base)
        _refuse(replace(nothing, parameters=_count(model)), memory, config, ())
    weights = replace(nothing, parameters=_parameters(outlines, base, groups))
    _refuse(replace(weights, samples=loaded, images=_image_bytes(loaded, config)), memory, config, groups)
    samples = max(_samples(components, base, groups), default=0)
    loaded = samples * config.accumulate
    activations = _activations(model, samples) if samples and config.memory == "normal" else 0
    images = _image_bytes(loaded, config)
    _refuse(replace(weights, samples=loaded, images=images, activations=activations), memory, config, groups)


def _refuse(footprint: Footprint, memory: int, config: RunConfig, groups: Sequence[str]) -> None:
    if footprint.total > memory:
        raise ConfigError(
            f"A training step needs at least {byte_size(footprint.total)} of memory, and this device has "
            f"{byte_size(memory)}: {footprint}. {_remedy(footprint, config, groups)}"
        )


def _remedy(footprint: Footprint, config: RunConfig, groups: Sequence[str]) -> str:
    if footprint.trained > footprint.total / 2:
        fewer = f", or train fewer than {len(groups)} new groups" if groups else ""
        return f"Lower --backbone.channels ({config.backbone['channels']}){fewer}."
    numbers = {"batch-size": config.batch_size, "accumulate": config.accumulate, "size": config.size}
    largest = max(numbers, key=numbers.__getitem__)
    fewer = f", or train fewer than {len(groups)} new groups" if footprint.samples < len(groups) else ""
    return f"Lower --{largest} ({numbers[largest]}){fewer}."


def _image_bytes(samples: int, config: RunConfig) -> int:
    return len(DOMAINS) * samples * 3 * config.size**2 * FLOAT


def _samples(components: Components, base: str, groups: Sequence[str]) -> list[int]:
    """Return the images of one domain in a sub-step of each stage."""
    of_base = [components.config.batch_size] if "base" in components.config.stages else []
    drawn = first_draw(components, base, groups)
    return [*of_base, sum(map(len, drawn))] if drawn else of_base


def _parameters(outlines: Outlines, base: str, groups: Sequence[str]) -> int:
    """Count the parameters of a model with many groups from fewer; each group after the first adds the same number."""
    with bounded("transfer", outlines.components.transfer, networks=4 + 4 * _FEW):
        if len(groups) <= _FEW:
            return _count(outlines.of(base, groups))
        one, two = (_count(outlines.of(base, groups[:n])) for n in (1, 2))
    return two + (two - one) * (len(groups) - 2)


def _count(model: Model) -> int:
    return ModelSize.of(model.backbone).total


def _activations(model: Model, samples: int) -> int:
    """Return the bytes that translations of both directions keep for the backward pass; 0 if not known from shapes.

    Both generators are built from the same part and options, so that each direction keeps as much as the first.
    """
    if model.device.type != "meta":
        return 0
    x = torch.empty(samples, 3, model.size, model.size, device="meta")
    with suppress(RuntimeError), routed(None):  # a network that needs real values
        return len(DIRECTIONS) * _kept(model.backbone.generators[DIRECTIONS[0]].train(), x)
    return 0


def _kept(network: nn.Module, x: Tensor) -> int:
    """Return the bytes of all maps that autograd keeps of ``network(x)``.

    Statistics per channel are left out: they are small, and the kernels of a CPU keep others than torch's operations.
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.ndim > 2:
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(x)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    return sum(storage.nbytes() for key, storage in kept.items() if key not in own)
