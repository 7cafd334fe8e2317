"""The contract of feature networks: pretrained networks that turn images into vectors which metrics compare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from i2i.caches import cache_folder
from i2i.files import whole_file
from i2i.metric import Images
from i2i.plugins import installed

KEY = "features"
CPU = torch.device("cpu")


class FeatureNetwork(nn.Module, ABC):
    """A pretrained network that sees images.

    Args:
        variant: What follows the colon of a name such as ``timm:resnet50``; empty where nothing does.
        weights: The user's file of weights; None: look for them.

    Attributes:
        name: The name in the registry.
        title: What it is called beside a score, its layer and where its weights come from.
        resize: What it does to the size of images; it takes images of any size.
        fingerprint: Names its weights, so that features can be kept; empty: do not.

    Raises:
        WeightsError: The constructor raises it where the weights are not on this machine.
    """

    name: ClassVar[str]
    title: str
    resize: str
    fingerprint: str = ""

    def __init__(self, variant: str = "", weights: str | None = None) -> None:
        super().__init__()

    @abstractmethod
    def maps(self, x: Tensor) -> Tensor:
        """Return the maps, ``(N, C, h, w)``, that it has of ``x``, ``(N, 3, H, W)`` in [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return features, ``(N, C)``: the mean of each map."""
        return self.maps(x).mean((2, 3))


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
