"""The checkpoint files of UNIT's MUNIT-style release: a file of auto-encoders, a file of discriminators, by domain.

There the auto-encoder of a domain is its encoder and its decoder; ours are a domain's encoder and the other's decoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from i2i import (
    CHECKPOINT_SUFFIXES,
    DIRECTION_INTO,
    DOMAINS,
    OTHER_DOMAIN,
    CheckpointError,
    CheckpointFormat,
    CheckpointParts,
    Imported,
    from_published,
    has_branches,
    output_width,
    to_published,
    without_module_prefix,
)
from i2i_unit.networks import MultiscaleDiscriminator, VariationalGenerator

if TYPE_CHECKING:
    from i2i import Backbone

States = dict[str, dict[str, Tensor]]

FILE = re.compile(r"(?P<prefix>.*?)(?P<part>gen|dis)_(?P<step>\d{8})\.pt")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
PUBLISHED_SIZE = 256
OUT_OF = {domain: DIRECTION_INTO[OTHER_DOMAIN[domain]] for domain in DOMAINS}
NO_JUDGES = "There are no discriminators: the dis_*.pt with the number of gen_*.pt is missing."


class UNITRelease(CheckpointFormat):
    """``gen_########.pt`` and ``dis_########.pt`` of UNIT: the folder, whose newest count; or either file.

    A file of generators may have any name; then there are no discriminators.
    """

    name = "unit"

    def find(self, path: Path) -> dict[str, Path]:
        """Return the generators' and the discriminators' file of one step: of the file's, or the folder's newest."""
        folder = path if path.is_dir() else path.parent
        matches = {file: FILE.fullmatch(file.name) for file in sorted(folder.glob("*.pt"))}
        named = {file: (found["prefix"], found["step"], found["part"]) for file, found in matches.items() if found}
        if path.is_file() and path not in named:
            return {"gen": path} if path.suffix.lower() in CHECKPOINT_SUFFIXES else {}
        generators = {file: about for file, about in named.items() if about[2] == "gen"}
        if not generators:
            return {}
        chosen = named.get(path) or max(generators.values(), key=lambda about: (about[1], about[0]))
        return {about[2]: file for file, about in named.items() if about[:2] == chosen[:2]}

    def recognises(self, parts: CheckpointParts) -> bool:
        """Say whether there are the encoders of both domains, without MUNIT's of style."""
        return all(_has_encoder(parts.get("gen", {}).get(domain)) for domain in DOMAINS)

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read generators, and discriminators where there are any."""
        generators, judges = _states(parts, "gen"), _states(parts, "dis")
        options = _generator_options(generators["a"])
        judge = _judge_options(judges["a"]) if judges else {}
        size = size or PUBLISHED_SIZE
        with torch.device("meta"):
            network = VariationalGenerator(VariationalGenerator.Config(size=size, **options))
            tensors = _generators(generators, network)
            if judges:
                config = MultiscaleDiscriminator.Config(size=size, **judge)
                tensors |= _discriminators(judges, MultiscaleDiscriminator(config))
        config = {
            "size": size,
            "backbone": {"name": "unit", "channels": options["channels"]},
            "generator": {"name": "unit", "blocks": options["blocks"]},
            "discriminator": {"name": "multiscale", **judge},
        }
        return Imported(config, tensors, notes=() if judges else (NO_JUDGES,))

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return both files, numbered as of step 0."""
        generators = {direction: _own(backbone.generators[direction], groups) for direction in DIRECTION_INTO.values()}
        own = {direction: to_published(network) for direction, network in generators.items()}
        gen = {
            domain: _half(own[OUT_OF[domain]], "enc") | _half(own[DIRECTION_INTO[domain]], "dec") for domain in DOMAINS
        }
        dis = {domain: to_published(_own_judge(backbone.discriminators[domain])) for domain in DOMAINS}
        return {"gen_00000000.pt": gen, "dis_00000000.pt": dis}


def _has_encoder(state: Any) -> bool:
    found = map(str, state) if isinstance(state, Mapping) else ()
    return "enc.model.0.conv.weight" in {key.removeprefix("module.") for key in found}


def _states(parts: CheckpointParts, part: str) -> States:
    """Return a file's state dicts by domain, without the statistics that old files keep of instance norms; or {}."""
    if part not in parts:
        return {}
    states = {domain: parts[part].get(domain) for domain in DOMAINS}
    for domain, state in states.items():
        if not isinstance(state, Mapping):
            raise CheckpointError(f"The {part} file has no network '{domain}'. It is cut short, or of another model.")
    return {domain: _modern(state) for domain, state in states.items() if state is not None}


def _modern(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in without_module_prefix(state).items() if not key.endswith(STATISTICS)}


def _generator_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = sum(bool(re.fullmatch(r"enc\.model\.3\.model\.\d+\.model\.0\.conv\.weight", key)) for key in state)
    if blocks == 0:
        output_width(state, "enc.model.3.model.0.model.0.conv.weight", "gen a")
    return {"channels": output_width(state, "enc.model.0.conv.weight", "gen a"), "blocks": blocks}


def _judge_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    channels = output_width(state, "cnns.0.0.conv.weight", "dis a")
    scales = {found[1] for key in state if (found := re.match(r"cnns\.(\d+)\.", key))}
    layers = sum(bool(re.fullmatch(r"cnns\.0\.\d+\.conv\.weight", key)) for key in state)
    return {"channels": channels, "scales": len(scales), "layers": layers}


def _generators(states: States, network: VariationalGenerator) -> dict[str, Tensor]:
    """Give the encoder of each domain to the generator out of it, and the decoder to the one into it."""
    theirs = network.published_keys()
    return {
        f"generators.{(OUT_OF if theirs[key].startswith('enc.') else DIRECTION_INTO)[domain]}.{key}": tensor
        for domain in DOMAINS
        for key, tensor in from_published(states[domain], network, f"gen {domain}").items()
    }


def _discriminators(states: States, network: MultiscaleDiscriminator) -> dict[str, Tensor]:
    return {
        f"discriminators.{domain}.{key}": tensor
        for domain in DOMAINS
        for key, tensor in from_published(states[domain], network, f"dis {domain}").items()
    }


def _half(state: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key.startswith(f"{side}.")}


def _own(network: nn.Module, groups: Sequence[str]) -> VariationalGenerator:
    """Return a generator that the release can hold."""
    if not isinstance(network, VariationalGenerator):
        raise CheckpointError(f"UNIT's release has no generator like {type(network).__name__}, only 'unit'.")
    if has_branches(network):
        raise CheckpointError(
            f"UNIT's release has no groups, and this model serves {', '.join(groups)}. Export one: --group."
        )
    if network.config.shared_blocks:
        raise CheckpointError(
            f"UNIT's release shares no layers between its directions, and this model shares "
            f"{network.config.shared_blocks} blocks: trained on there, they would drift apart. It cannot be exported."
        )
    return network


def _own_judge(network: nn.Module) -> MultiscaleDiscriminator:
    if not isinstance(network, MultiscaleDiscriminator):
        raise CheckpointError(f"UNIT's release has no discriminator like {type(network).__name__}, only 'multiscale'.")
    if has_branches(network):
        raise CheckpointError("UNIT's release has no groups, and each group has its own discriminators here.")
    return network
