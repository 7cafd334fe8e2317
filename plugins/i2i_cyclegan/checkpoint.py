"""Parameter names of pytorch-CycleGAN-and-pix2pix, from and to ours.

There ``G_A`` translates a to b and ``D_A`` judges b. Each file is one bare state dict.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from i2i.errors import CheckpointError
from i2i_cyclegan.networks import PatchDiscriminator, ResnetGenerator, UnetGenerator

Network = ResnetGenerator | UnetGenerator | PatchDiscriminator
Names = dict[str, str]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def from_published(state: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """Rename a published state dict for ``network``; statistics that old files keep of instance norms are dropped.

    Raises:
        CheckpointError: A parameter is missing or left over.
    """
    state = {key: value for key, value in state.items() if not key.endswith(STATISTICS)}
    published = _parameters(names(network, dropout="model.10.conv_block.6.weight" in state))
    _compare(set(published.values()), set(state), type(network).__name__)
    return {ours: state[theirs] for ours, theirs in published.items()}


def to_published(state: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """Rename the state dict of ``network``, which must have no branches, to the published names.

    Raises:
        CheckpointError: A parameter is missing or left over.
    """
    published = _parameters(names(network))
    _compare(set(published), set(state), type(network).__name__)
    return {theirs: state[ours] for ours, theirs in published.items()}


def names(network: Network, dropout: bool = False) -> Names:
    """Return our name of every convolution and its published one; dropout shifts those inside residual blocks."""
    if isinstance(network, ResnetGenerator):
        return resnet_names(len(network.blocks), dropout)
    if isinstance(network, UnetGenerator):
        return unet_names(len(network.down))
    return patch_names(len(network.stages) - 1)


def resnet_names(blocks: int, dropout: bool = False) -> Names:
    """Return the names of a ResNet generator with that many residual blocks."""
    end = 10 + blocks
    second = 6 if dropout else 5
    return {
        **{f"down.{i}.0": f"model.{1 + 3 * i}" for i in range(3)},
        **{f"blocks.{i}.layers.0": f"model.{10 + i}.conv_block.1" for i in range(blocks)},
        **{f"blocks.{i}.layers.3": f"model.{10 + i}.conv_block.{second}" for i in range(blocks)},
        **{f"up.{i}.0": f"model.{end + offset}" for i, offset in enumerate((0, 3, 7))},
    }


def unet_names(depth: int) -> Names:
    """Return the names of a U-Net with that many downsamplings; the published levels are nested."""
    found: Names = {}
    prefix = "model.model"
    for level in range(depth):
        outer, inner = level == 0, level == depth - 1
        found[f"down.{level}.{0 if outer else 1}"] = f"{prefix}.{0 if outer else 1}"
        found[f"up.{depth - 1 - level}.1"] = f"{prefix}.{3 if outer or inner else 5}"
        prefix += f".{1 if outer else 3}.model"
    return found


def patch_names(layers: int) -> Names:
    """Return the names of a PatchGAN with that many halving layers."""
    stages = {f"stages.{i}.0": f"model.{max(0, 3 * i - 1)}" for i in range(layers + 1)}
    return {**stages, "head": f"model.{3 * layers + 2}"}


def _parameters(convolutions: Names) -> Names:
    return {f"{ours}.{p}": f"{theirs}.{p}" for ours, theirs in convolutions.items() for p in ("weight", "bias")}


def _compare(expected: set[str], found: set[str], network: str) -> None:
    if expected != found:
        missing, extra = sorted(expected - found), sorted(found - expected)
        raise CheckpointError(
            f"The checkpoint does not fit {network}: missing {missing[:3] or 'nothing'}, left over "
            f"{extra[:3] or 'nothing'}. Choose the network, and its blocks, depth or layers, that wrote it."
        )
