"""The parameter names of UGATIT-pytorch, and ours. Nothing but names differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

_HEADS = {"gap_fc": "attention.heads.average", "gmp_fc": "attention.heads.maximum", "conv1x1": "attention.merge"}
_SPECTRAL = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}


def generator_names(blocks: int) -> dict[str, str]:
    """Return the published module names of a generator with ``blocks`` residual blocks, each with ours."""
    names = _HEADS | {f"DownBlock.{1 + 4 * i}": f"down.{i}.1" for i in range(3)}
    for i in range(blocks):
        names |= {f"DownBlock.{12 + i}.conv_block.{j}": f"blocks.{i}.body.{j}" for j in (1, 5)}
        names |= {f"UpBlock1_{i + 1}.{part}": f"decode.{i}.{part}" for part in ("conv1", "norm1", "conv2", "norm2")}
    names |= {"FC.0": "style.mlp.0", "FC.2": "style.mlp.2", "gamma": "style.gamma", "beta": "style.beta"}
    names |= {f"UpBlock2.{2 + 5 * i}": f"up.{i}.0" for i in range(2)}
    return names | {f"UpBlock2.{3 + 5 * i}": f"up.{i}.1" for i in range(2)} | {"UpBlock2.11": "up.2.0"}


def discriminator_names(layers: int) -> dict[str, str]:
    """Return the published module names of one patch discriminator of that depth, each with ours."""
    return _HEADS | {"conv": "last.1"} | {f"model.{1 + 3 * i}": f"model.{i}.1" for i in range(layers - 1)}


def from_published(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename a published state dict for our module."""
    return {_rename(key, names, _SPECTRAL): tensor for key, tensor in state.items()}


def to_published(
    state: Mapping[str, Tensor], names: Mapping[str, str], spectral: Iterable[str] = ()
) -> dict[str, Tensor]:
    """Rename the state dict of our module as published; ``spectral`` names our spectrally normalised modules."""
    back = {ours: published for published, ours in names.items()}
    leaves = {ours: published for published, ours in _SPECTRAL.items()}
    normalised = set(spectral)
    return {
        _rename(key, back, leaves if key.rpartition(".")[0] in normalised else {}): tensor
        for key, tensor in state.items()
    }


def _rename(key: str, modules: Mapping[str, str], leaves: Mapping[str, str]) -> str:
    module, _, leaf = key.rpartition(".")
    return f"{modules[module]}.{leaves.get(leaf, leaf)}"
