"""The checkpoint files of UNIT's MUNIT-style release: one of auto-encoders and one of discriminators, by domain.

An auto-encoder there has the encoder and the decoder of its domain; our generators have the encoder of one domain and
the decoder of the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
    published_judges,
    published_network,
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
NO_JUDGES = "There are no discriminators: the dis_*.pt with the same number as gen_*.pt is missing."


class FileName(NamedTuple):
    """The groups of `FILE` in the name of a checkpoint file."""

    prefix: str
    part: str
    step: str


class UNITRelease(CheckpointFormat):
    """``gen_########.pt`` and ``dis_########.pt`` of UNIT, given as their folder, for the newest, or as either file.

    A generator file may have any name; then there are no discriminators.
    """

    name = "unit"

    def find(self, path: Path) -> dict[str, Path]:
        """Return the generator and discriminator files of one step: that of the file, or the folder's newest."""
        folder = path if path.is_dir() else path.parent
        matches = {file: FILE.fullmatch(file.name) for file in sorted(folder.glob("*.pt"))}
        named = {file: FileName(**match.groupdict()) for file, match in matches.items() if match}
        if path.is_file() and path not in named:
            return {"gen": path} if path.suffix.lower() in CHECKPOINT_SUFFIXES else {}
        generators = [name for name in named.values() if name.part == "gen"]
        if not generators:
            return {}
        chosen = named.get(path) or max(generators, key=lambda name: (name.step, name.prefix))
        return {
            name.part: file for file, name in named.items() if (name.prefix, name.step) == (chosen.prefix, chosen.step)
        }

    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether both domains have UNIT's encoder, unlike MUNIT's, which are named by content and style."""
        return all(_has_encoder(parts.get("gen", {}).get(domain)) for domain in DOMAINS)

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read the generators, and the discriminators if present."""
        generators, judges = _states(parts, "gen"), _states(parts, "dis")
        options = _generator_options(generators["a"])
        judge = _judge_options(judges["a"]) if judges else {}
        size = size or PUBLISHED_SIZE
        with torch.device("meta"):
            network = VariationalGenerator(VariationalGenerator.Config(size=size, **options))
            tensors = _generators(generators, network)
            if judges:
                judging = MultiscaleDiscriminator(MultiscaleDiscriminator.Config(size=size, **judge))
                tensors |= _discriminators(judges, judging)
        config = {
            "size": size,
            "backbone": {"name": "unit", "channels": options["channels"]},
            "generator": {"name": "unit", "blocks": options["blocks"]},
            "discriminator": {"name": "multiscale", **judge},
        }
        return Imported(config, tensors, notes=() if judges else (NO_JUDGES,))

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return both files, numbered as step 0; that of discriminators only if they are of the release."""
        states = {
            direction: to_published(_storable_generator(backbone.generators[direction], groups))
            for direction in DIRECTION_INTO.values()
        }
        gen: dict[str, Any] = {
            domain: _half(states[OUT_OF[domain]], "enc") | _half(states[DIRECTION_INTO[domain]], "dec")
            for domain in DOMAINS
        }
        judges = published_judges(backbone.discriminators, MultiscaleDiscriminator, "UNIT's release")
        if any(has_branches(judge) for judge in judges.values()):
            raise CheckpointError(
                "UNIT's release cannot store groups, but each group of this model has its own discriminators."
            )
        dis: dict[str, Any] = {domain: to_published(judge) for domain, judge in judges.items()}
        return {"gen_00000000.pt": gen, **({"dis_00000000.pt": dis} if dis else {})}


def _has_encoder(state: Any) -> bool:
    return isinstance(state, Mapping) and "enc.model.0.conv.weight" in without_module_prefix(state)


def _states(parts: CheckpointParts, part: str) -> States:
    """Return a file's state dicts by domain, without old files' statistics of instance norms; {} without the file."""
    if part not in parts:
        return {}
    states = {domain: parts[part].get(domain) for domain in DOMAINS}
    for domain, state in states.items():
        if not isinstance(state, Mapping):
            raise CheckpointError(
                f"The {part} file has no network '{domain}'. It is cut short, or belongs to another model."
            )
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
    scales = {match[1] for key in state if (match := re.match(r"cnns\.(\d+)\.", key))}
    layers = sum(bool(re.fullmatch(r"cnns\.0\.\d+\.conv\.weight", key)) for key in state)
    return {"channels": channels, "scales": len(scales), "layers": layers}


def _generators(states: States, network: VariationalGenerator) -> dict[str, Tensor]:
    """Assign each domain's encoder to the generator out of the domain, and its decoder to the one into it."""
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


def _storable_generator(network: nn.Module, groups: Sequence[str]) -> VariationalGenerator:
    """Return the generator if the release can store it; otherwise raise `CheckpointError`."""
    generator = published_network(network, VariationalGenerator, "UNIT's release")
    if has_branches(generator):
        raise CheckpointError(
            f"UNIT's release cannot store groups, but this model has the groups {', '.join(groups)}. "
            "Export one with --group."
        )
    return generator
