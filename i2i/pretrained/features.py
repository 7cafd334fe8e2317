"""Image features, extracted per chunk and cached by content."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from i2i.contracts.metric import Images
from i2i.contracts.pretrained import FeatureNetwork
from i2i.errors import CheckpointError
from i2i.storage.caches import cache_folder
from i2i.storage.tensor_file import TensorFile, write

KEY = "features"
CPU = torch.device("cpu")


def extract_features(network: FeatureNetwork, images: Images, device: torch.device = CPU) -> Tensor:
    """Return the features of images, ``(N, C)`` on the CPU, computed once per network.

    If the images have a ``key``, features are cached in ``features/`` in i2i's cache folder, which can be emptied at
    any time; else with the images.
    """
    file = _cache_file(network, images)
    cached = images.features.get(network.fingerprint) if file is None else _read(file)
    if cached is not None and len(cached) == len(images):
        return cached
    features = _computed(network, images, device)
    if file is not None:
        write(file, {KEY: features}, {})
    elif network.fingerprint:
        images.features[network.fingerprint] = features
    return features


@torch.no_grad()
def _computed(network: FeatureNetwork, images: Images, device: torch.device) -> Tensor:
    return torch.cat([network(chunk.to(device)).float().cpu() for chunk in images]).contiguous()


def _cache_file(network: FeatureNetwork, images: Images) -> Path | None:
    if not images.key or not network.fingerprint:
        return None
    return cache_folder() / "features" / f"{network.fingerprint}-{images.key}.safetensors"


def _read(file: Path) -> Tensor | None:
    """Return cached features, or None if they are missing or unreadable."""
    try:
        return TensorFile(file).get(KEY)
    except CheckpointError:
        return None
