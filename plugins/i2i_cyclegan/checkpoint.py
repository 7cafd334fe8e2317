"""The checkpoint files of pytorch-CycleGAN-and-pix2pix: a bare state dict per file.

There ``G_A`` translates a to b and ``D_A`` judges b.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from i2i import (
    CHECKPOINT_SUFFIXES,
    CheckpointFormat,
    CheckpointParts,
    Discriminator,
    Generator,
    Imported,
    from_published,
    output_width,
    published_judges,
    published_network,
    to_published,
    without_module_prefix,
)
from i2i_cyclegan.discriminators import PatchDiscriminator, PixelDiscriminator
from i2i_cyclegan.networks import ResnetGenerator, UnetGenerator

if TYPE_CHECKING:
    from i2i import Backbone

TITLE = "pytorch-CycleGAN-and-pix2pix"
NETWORKS = {"G_A": "generators.a2b", "G_B": "generators.b2a", "D_A": "discriminators.b", "D_B": "discriminators.a"}
FILE = re.compile(r"(?P<epoch>.+)_net_(?P<network>G|[GD]_[AB])\.pth", re.IGNORECASE)
INTO_A = re.compile(r"(G_B|B2A)\.\w+", re.IGNORECASE)
"""The end of the name of a lone generator from b to a, as in ``netG_B2A.pth``."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
PUBLISHED_SIZE = 256
_GENERATORS = (ResnetGenerator, UnetGenerator)
_DISCRIMINATORS = (PatchDiscriminator, PixelDiscriminator)


class PytorchCycleGAN(CheckpointFormat):
    """``EPOCH_net_{G_A,G_B,D_A,D_B}.pth`` of pytorch-CycleGAN-and-pix2pix: the folder, or any one of the files.

    A lone ``latest_net_G.pth``, as the project publishes its pretrained models, is a generator from a to b.
    """

    name = "pytorch-cyclegan"

    def find(self, path: Path) -> dict[str, Path]:
        """Return the files of one epoch: the given file's, or the folder's latest."""
        folder = path if path.is_dir() else path.parent
        matches = {file: FILE.fullmatch(file.name) for file in sorted(folder.iterdir())}
        named = {file: match for file, match in matches.items() if match}
        if path.is_file() and path not in named and path.suffix.lower() in CHECKPOINT_SUFFIXES:
            return {"G_B" if INTO_A.search(path.name) else "G_A": path}
        if not named or (path.is_file() and path not in named):
            return {}
        epoch = named[path]["epoch"] if path in named else max((match["epoch"] for match in named.values()), key=_age)
        parts = {match["network"].upper(): file for file, match in named.items() if match["epoch"] == epoch}
        return {"G_A" if part == "G" else part: file for part, file in parts.items()}

    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether there is a ResNet or U-Net generator, in either direction."""
        return any(_kind(without_module_prefix(parts.get(name, {}))) is not None for name in ("G_A", "G_B"))

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read the networks present."""
        states = {name: _modern(state) for name, state in parts.items()}
        generator = _generator_options(states.get("G_A") or states["G_B"])
        size = size or (2 ** generator["depth"] if "depth" in generator else PUBLISHED_SIZE)
        judge = _judge_options(next((states[name] for name in ("D_A", "D_B") if name in states), None))
        networks = _empty_networks(generator, judge, size)
        tensors = {
            f"{NETWORKS[name]}.{key}": tensor
            for name, state in states.items()
            for key, tensor in from_published(state, networks[name[0]], name).items()
        }
        backbone = {"name": "cyclegan", "channels": generator["channels"]}
        return Imported({"size": size, "backbone": backbone, "generator": generator, "discriminator": judge}, tensors)

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the files, named as the project's ``--epoch latest`` expects; of discriminators only the project's."""
        generators, judges = ([each.name for each in known] for known in (_GENERATORS, _DISCRIMINATORS))
        networks: dict[str, Generator | Discriminator] = {}
        for direction, network in backbone.generators.items():
            networks[f"generators.{direction}"] = published_network(network, Generator, TITLE, generators)
        for domain, judge in published_judges(backbone.discriminators, Discriminator, TITLE, judges).items():
            networks[f"discriminators.{domain}"] = judge
        found = {name: networks[place] for name, place in NETWORKS.items() if place in networks}
        return {f"latest_net_{name}.pth": to_published(network) for name, network in found.items()}


def _age(epoch: str) -> tuple[bool, int]:
    """Return a sort key: ``N`` and ``iter_N`` by number, then ``latest``."""
    number = re.search(r"\d+", epoch)
    return epoch == "latest", int(number[0]) if number else 0


def _modern(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the instance-norm statistics of old files, and renumber convolutions that follow dropout."""
    state = {key: tensor for key, tensor in without_module_prefix(state).items() if not key.endswith(STATISTICS)}
    if "model.10.conv_block.6.weight" not in state:
        return state
    return {key.replace(".conv_block.6.", ".conv_block.5."): tensor for key, tensor in state.items()}


def _kind(state: Mapping[str, Tensor]) -> str | None:
    if "model.10.conv_block.1.weight" in state:
        return "resnet"
    return "unet" if "model.model.0.weight" in state else None


def _generator_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    if _kind(state) == "resnet":
        blocks = sum(bool(re.fullmatch(r"model\.\d+\.conv_block\.1\.weight", key)) for key in state)
        return {"name": "resnet", "channels": output_width(state, "model.1.weight", "G_A"), "blocks": blocks}
    convolutions = [key for key, tensor in state.items() if key.endswith("weight") and tensor.ndim == 4]
    return {
        "name": "unet",
        "channels": output_width(state, "model.model.0.weight", "G_A"),
        "depth": len(convolutions) // 2,  # one down and one up per level
    }


def _judge_options(state: Mapping[str, Tensor] | None) -> dict[str, Any]:
    if state is None:
        return {"name": "patch"}
    if "net.0.weight" in state:
        return {"name": "pixel", "channels": output_width(state, "net.0.weight", "D")}
    convolutions = sum(key.endswith("weight") for key in state)
    return {"name": "patch", "channels": output_width(state, "model.0.weight", "D"), "layers": convolutions - 2}


def _empty_networks(
    generator: dict[str, Any], judge: dict[str, Any], size: int
) -> dict[str, Generator | Discriminator]:
    """Build a generator ``G`` and a discriminator ``D`` on the meta device, without memory for weights."""
    classes: dict[str, Any] = {network.name: network for network in (*_GENERATORS, *_DISCRIMINATORS)}

    def build(options: dict[str, Any]) -> Any:
        network = classes[options["name"]]
        return network(network.Config(size=size, **{key: value for key, value in options.items() if key != "name"}))

    with torch.device("meta"):
        return {"G": build(generator), "D": build(judge)}
