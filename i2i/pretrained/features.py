"""The contract of feature networks: pretrained networks that turn images into vectors which metrics compare."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from i2i.contracts.feature import FeatureNetwork
from i2i.contracts.metric import Images
from i2i.registry.registry import installed
from i2i.storage.caches import cache_folder
from i2i.storage.files import whole_file

KEY = "features"

CPU = torch.device("cpu")


@cache
def network(name: str, weights: str | None = None, device: torch.device = CPU) -> FeatureNetwork:
    """Return the feature network of a name, such as ``alexnet`` or ``timm:resnet50``; it is built once a process.

    Raises:
        UnknownComponentError: No plugin provides it.
        WeightsError: Its weights are not on this machine.
    """
    kind, _, variant = name.partition(":")
    built: FeatureNetwork = installed().feature(kind)(variant, weights)
    return built.eval().requires_grad_(False).to(device)


@torch.no_grad()
def extract(seen_by: FeatureNetwork, images: Images, device: torch.device = CPU) -> Tensor:
    """Return the features, ``(N, C)`` on the CPU, that a network has of images; those of known content are kept.

    They are kept in i2i's cache folder, in ``features/``, which may be emptied at any time.
    """
    file = _kept(seen_by, images)
    known = None if file is None else _read(file)
    if known is not None and len(known) == len(images):
        return known
    found = torch.cat([seen_by(chunk.to(device)).float().cpu() for chunk in images])
    if file is not None:
        with whole_file(file) as temporary:
            save_file({KEY: found.contiguous()}, temporary)
    return found


def _kept(seen_by: FeatureNetwork, images: Images) -> Path | None:
    if not images.key or not seen_by.fingerprint:
        return None
    return cache_folder() / "features" / f"{seen_by.fingerprint}-{images.key}.safetensors"


def _read(file: Path) -> Tensor | None:
    """Return kept features, or None where there are none that can be read."""
    try:
        with safe_open(file, framework="pt") as held:
            tensor: Tensor = held.get_tensor(KEY)
            return tensor
    except (OSError, SafetensorError):
        return None
