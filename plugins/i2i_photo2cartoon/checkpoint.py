"""The checkpoint files of photo2cartoon: a dict of six networks, like UGATIT-pytorch's."""

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
    Discriminator,
    Imported,
    from_published,
    join_states,
    output_width,
    published_network,
    split_states,
    to_published,
    without_module_prefix,
)
from i2i_photo2cartoon.networks import HourglassGenerator

if TYPE_CHECKING:
    from i2i import Backbone

States = Mapping[str, Mapping[str, Tensor]]
GENERATORS = {"genA2B": "a2b", "genB2A": "b2a"}
JUDGES = ("G", "L")
JUDGE = "ugatit"
"""The discriminator, of the plugin i2i_ugatit."""
ORDER = [*GENERATORS, "disGA", "disGB", "disLA", "disLB"]
PUBLISHED_SIZE = 256
OUTDATED = (
    "This file is from before 2020-05-04, when photo2cartoon fixed its hourglasses. Levels 2 to 4 were never trained, "
    "so its translations will be wrong. Train it further, or use newer weights."
)
PERHAPS_OUTDATED = (
    "If this file is from before 2020-05-04, when photo2cartoon fixed its hourglasses, its translations will be "
    "wrong. The file does not show its age. Look at a translation, and if it is wrong, use newer weights."
)


class Photo2CartoonFile(CheckpointFormat):
    """``*_params_*.pt`` of photo2cartoon: generators A2B and B2A, a global and a local discriminator per domain."""

    name = "photo2cartoon"

    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether the file holds a photo2cartoon generator from a to b, for a single group."""
        return {"HourGlass1.Conv1.weight", "gap_fc.weight"} <= generator_keys(parts)

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read the generators and discriminators present."""
        states = networks(parts)
        judge = self.lookup.get(Discriminator, JUDGE)
        config = infer_config(states, size, judge)
        generator, discriminator = empty_networks(config, judge)
        tensors = {
            f"generators.{direction}.{key}": tensor
            for name, direction in GENERATORS.items()
            if name in states
            for key, tensor in from_published(states[name], generator, name).items()
        }
        for domain, state in judges(states).items():
            converted = from_published(state, discriminator, f"disG{domain.upper()} and disL{domain.upper()}")
            tensors |= {f"discriminators.{domain}.{key}": tensor for key, tensor in converted.items()}
        return Imported(config, tensors, notes=_age_notes(states["genA2B"]))

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the single file, named ``latest`` since photo2cartoon resumes from that."""
        states: dict[str, Any] = {
            name: to_published(published_network(backbone.generators[direction], HourglassGenerator, "photo2cartoon"))
            for name, direction in GENERATORS.items()
        }
        for domain in ("a", "b"):
            judge = published_network(backbone.discriminators[domain], Discriminator, "photo2cartoon", [JUDGE])
            states |= split_states(to_published(judge), judge_names(domain))
        return {"photo2cartoon_params_latest.pt": {name: states[name] for name in ORDER}}


def generator_keys(parts: CheckpointParts) -> set[str]:
    """Return the keys of the generator from a to b; empty if there is none."""
    state = parts["file"].get("genA2B")
    return set(without_module_prefix(state)) if isinstance(state, Mapping) else set()


def networks(parts: CheckpointParts) -> dict[str, dict[str, Tensor]]:
    """Return the file's networks by name, without DataParallel's key prefixes."""
    return {
        name: without_module_prefix(parts["file"][name])
        for name in ORDER
        if isinstance(parts["file"].get(name), Mapping)
    }


def infer_config(states: States, size: int | None, judge: type[Discriminator]) -> dict[str, Any]:
    """Infer the configuration from shapes, for a generator of one or several groups.

    Raises:
        CheckpointError: A layer is missing, or ``size`` is not the size of a full generator.
    """
    state = states["genA2B"]
    channels = output_width(state, "ConvBlock1.1.weight", "genA2B")
    output_width(state, "FC.0.weight", "genA2B")
    pixels = state["FC.0.weight"].shape[1] // (4 * channels)
    light = pixels == 1
    trained_size = (size or PUBLISHED_SIZE) if light else 4 * round(pixels**0.5)
    if size is not None and trained_size != size:
        raise CheckpointError(f"genA2B is a full generator for {trained_size} px, not for --size {size}.")
    return {
        "size": trained_size,
        "backbone": {"name": "photo2cartoon", "channels": channels, "light": light},
        "generator": {"name": "photo2cartoon"},
        "discriminator": {"name": JUDGE, **_judge_options(states, judge)},
    }


def empty_networks(config: Mapping[str, Any], judge: type[Discriminator]) -> tuple[HourglassGenerator, Discriminator]:
    """Build a generator and a discriminator ``ugatit`` on the meta device, without memory for weights."""
    shared = {"size": config["size"], "channels": config["backbone"]["channels"]}
    options = {key: value for key, value in config["discriminator"].items() if key != "name"}
    with torch.device("meta"):
        generator = HourglassGenerator(HourglassGenerator.Config(**shared, light=config["backbone"]["light"]))
        return generator, judge(judge.Config(**{**shared, **options}))


def judges(states: States) -> dict[str, dict[str, Tensor]]:
    """Return the discriminators of each domain that has both parts, prefixed with ``G.`` (global) or ``L.`` (local)."""
    return {
        domain: join_states(states, judge_names(domain))
        for domain in ("a", "b")
        if states.keys() >= set(judge_names(domain).values())
    }


def judge_names(domain: str) -> dict[str, str]:
    """Return the file's names for the global and local discriminators of a domain."""
    return {letter: f"dis{letter}{domain.upper()}" for letter in JUDGES}


def _judge_options(states: States, judge: type[Discriminator]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for letter, name in (pair for domain in DOMAINS for pair in judge_names(domain).items()):
        options |= judge.published_options(join_states(states, {letter: name}), name)
    return options


def _age_notes(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return a note if the hourglasses' levels 2 to 4, which old code never called, still have their initial weights.

    Initial weights lie within a bound that training soon exceeds. If those of level 1 do too, the model was hardly
    trained, and its file does not show its age.
    """
    trained = {level: any(_was_trained(state, key) for key in _convolutions(state, level)) for level in "1234"}
    if any(trained[level] for level in "234"):
        return ()
    return (OUTDATED,) if trained["1"] else (PERHAPS_OUTDATED,)


def _convolutions(state: Mapping[str, Tensor], level: str) -> list[str]:
    return [key for key in state if re.fullmatch(rf".*\.HG\.0\.ConvBlock{level}_\d\.ConvBlock[123]\.3\.weight", key)]


def _was_trained(state: Mapping[str, Tensor], key: str) -> bool:
    bound = state[key][0].numel() ** -0.5  # torch's default: Kaiming's uniform with a = sqrt(5)
    return bool(state[key].abs().max() > bound * 1.001)
