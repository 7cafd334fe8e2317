"""The image pool: the discriminator also sees older fakes (Shrivastava et al. 2017, arXiv 1612.07828, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Up to ``size`` fakes per domain and group; once full, half of new fakes are replaced by stored ones.

    Random numbers come from torch's global CPU generator.

    Args:
        size: Fakes kept per domain and group; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._images: dict[str, list[Tensor]] = {}

    def query(self, domain: str, fakes: Tensor, groups: tuple[str, ...]) -> Tensor:
        """Store some of ``fakes``, ``(N, 3, H, W)``; return each, or an older one of its group in its place."""
        if self.size == 0:
            return fakes
        return torch.stack([self._swap(f"{domain}/{group}", fake) for fake, group in zip(fakes, groups, strict=True)])

    def state(self) -> dict[str, Tensor]:
        """Return the stored fakes, ``(n, 3, H, W)`` by ``domain/group``."""
        return {key: torch.stack([image.cpu() for image in images]) for key, images in self._images.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state`` returned."""
        self._images = {key: list(images.clone()) for key, images in state.items()}

    def _swap(self, key: str, fake: Tensor) -> Tensor:
        stored = self._images.setdefault(key, [])
        if len(stored) < self.size:
            stored.append(fake.clone())
            return fake
        if torch.rand(()) < 0.5:
            return fake
        place = int(torch.randint(len(stored), ()))
        older, stored[place] = stored[place], fake.clone()
        return older.to(fake)
