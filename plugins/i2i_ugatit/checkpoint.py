"""The checkpoint files of UGATIT-pytorch: a dict of six networks that differ from ours only in names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from i2i import (
    DOMAINS,
    CheckpointError,
    CheckpointFormat,
    CheckpointParts,
    Imported,
    from_published,
    join_states,
    output_width,
    published_network,
    split_states,
    to_published,
    without_module_prefix,
)
from i2i_ugatit.networks import AttentionDiscriminator, AttentionGenerator

if TYPE_CHECKING:
    from i2i import Backbone

GENERATORS = {"genA2B": "a2b", "genB2A": "b2a"}
PARTS = ("G", "L")
PUBLISHED_SIZE = 256


class UGATITPytorch(CheckpointFormat):
    """``*_params_*.pt`` of UGATIT-pytorch: generators A2B and B2A, a global and a local discriminator per domain."""

    name = "ugatit-pytorch"

    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether the file holds a U-GAT-IT generator from a to b."""
        generator = parts["file"].get("genA2B")
        return isinstance(generator, Mapping) and "DownBlock.1.weight" in without_module_prefix(generator)

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read the generators and any discriminators."""
        states = {
            name: without_module_prefix(state) for name, state in parts["file"].items() if isinstance(state, Mapping)
        }
        generator = _generator_options(states["genA2B"], size)
        judge: dict[str, Any] = {}
        for letter, name in (pair for domain in DOMAINS for pair in _judges(domain).items()):
            judge |= AttentionDiscriminator.published_options(join_states(states, {letter: name}), name)
        with torch.device("meta"):
            network = AttentionGenerator(AttentionGenerator.Config(**generator))
            discriminator = AttentionDiscriminator(AttentionDiscriminator.Config(**judge, size=generator["size"]))
        tensors = _generators(states, network) | _discriminators(states, discriminator)
        backbone = {"name": "ugatit", "channels": generator["channels"], "light": generator["light"]}
        config = {
            "size": generator["size"],
            "backbone": backbone,
            "generator": {"name": "ugatit", "blocks": generator["blocks"]},
            "discriminator": {"name": "ugatit", **judge},
        }
        return Imported(config, tensors)

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the single file, named ``latest`` since UGATIT-pytorch resumes from and tests that."""
        states: dict[str, Any] = {
            name: to_published(published_network(backbone.generators[direction], AttentionGenerator, "UGATIT-pytorch"))
            for name, direction in GENERATORS.items()
        }
        for domain in ("a", "b"):
            judge = published_network(backbone.discriminators[domain], AttentionDiscriminator, "UGATIT-pytorch")
            states |= split_states(to_published(judge), _judges(domain))
        order = [*GENERATORS, "disGA", "disGB", "disLA", "disLB"]
        return {"ugatit_params_latest.pt": {name: states[name] for name in order}}


def _generator_options(state: Mapping[str, Tensor], size: int | None) -> dict[str, Any]:
    channels = output_width(state, "DownBlock.1.weight", "genA2B")
    output_width(state, "FC.0.weight", "genA2B")
    pixels = state["FC.0.weight"].shape[1] // (4 * channels)
    light = pixels == 1
    trained_size = (size or PUBLISHED_SIZE) if light else 4 * round(pixels**0.5)
    if size is not None and trained_size != size:
        raise CheckpointError(f"genA2B is a full generator for {trained_size} px, not for --size {size}.")
    blocks = len({match[1] for key in state if (match := re.match(r"UpBlock1_(\d+)\.", key))})
    return {"channels": channels, "blocks": blocks, "light": light, "size": trained_size}


def _generators(states: Mapping[str, Mapping[str, Tensor]], network: AttentionGenerator) -> dict[str, Tensor]:
    return {
        f"generators.{direction}.{key}": tensor
        for name, direction in GENERATORS.items()
        if name in states
        for key, tensor in from_published(states[name], network, name).items()
    }


def _discriminators(states: Mapping[str, Mapping[str, Tensor]], network: AttentionDiscriminator) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for domain in ("a", "b"):
        names = _judges(domain)
        if states.keys() >= set(names.values()):
            state = from_published(join_states(states, names), network, " and ".join(names.values()))
            tensors |= {f"discriminators.{domain}.{key}": tensor for key, tensor in state.items()}
    return tensors


def _judges(domain: str) -> dict[str, str]:
    return {letter: f"dis{letter}{domain.upper()}" for letter in PARTS}
