"""FID's feature network, with the resizing of several libraries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from i2i import ConfigError, FeatureNetwork, Pretrained, did_you_mean
from i2i_features.inception import InceptionV3, folded
from i2i_features.normalised import fingerprint

SIDE = 299


class Inception(FeatureNetwork):
    """FID's Inception: 2048 features of images rounded to 8 bits.

    ``inception`` resizes as pytorch-fid 0.3.0 does, ``inception:clean`` as clean-fid 0.1.35 (Parmar et al. 2022, arXiv
    2104.11222), ``inception:tensorflow`` as the original code and torch-fidelity 0.4.0.
    """

    name = "inception"

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant)
        if variant not in RESIZERS:
            known = [name for name in RESIZERS if name]
            near = did_you_mean(variant, known)
            raise ConfigError(
                f"There is no 'inception:{variant}'.{near} Known: inception:{', inception:'.join(known)}."
            )
        self.network = InceptionV3()
        self._resizer, self.resize = RESIZERS[variant]

    def prepare(self, pretrained: Pretrained, weights: str | None) -> None:
        """Load the weights, with batch normalisation folded into the convolutions.

        With channels last, torch's convolutions of these many small shapes take half the time.
        """
        filled = pretrained.fill(self.network, self.name, weights, convert=folded)
        self.network.to(memory_format=torch.channels_last)
        self.title = f"FID's Inception ({filled.title})"
        self.fingerprint = fingerprint(f"{self.name} {self.resize}", filled.path)

    def maps(self, x: Tensor, layers: Sequence[str] = ()) -> list[Tensor]:
        """Return the last maps, ``(N, 2048, 8, 8)`` of 299 px, of ``x``, ``(N, 3, H, W)`` in [-1, 1].

        Raises:
            ConfigError: A layer is named; the network exposes none.
        """
        if layers:
            raise ConfigError("FID's Inception shows no layers. Choose alexnet, vgg16 or timm:NAME.")
        return [self.network(x)]

    def resized(self, x: Tensor) -> Tensor:
        """Return images, ``(N, 3, H, W)`` in [-1, 1], rounded to 8 bits, at 299 px."""
        return self._resizer(x.float().clamp(-1, 1).add(1).mul(127.5).round())


def as_pytorch_fid(pixels: Tensor) -> Tensor:
    """Resize ``(N, 3, H, W)`` in [0, 255] to 299 px, bilinear without antialias; return [-1, 1]."""
    return F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", align_corners=False) / 127.5 - 1


def as_clean_fid(pixels: Tensor) -> Tensor:
    """Resize ``(N, 3, H, W)`` in [0, 255] to 299 px as Pillow does, unrounded; return [-1, 127 / 128]."""
    exact = pixels.cpu().double()  # as Pillow; single precision, all that some devices have, is off by 0.004
    resized = F.interpolate(exact, (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return (resized.clamp(0, 255) / 128 - 1).to(pixels)


def as_tensorflow(pixels: Tensor) -> Tensor:
    """Resize ``(N, 3, H, W)`` in [0, 255] to 299 px as TensorFlow 1, from the first pixel; return [-1, 127 / 128]."""
    return _stretched(_stretched(pixels, 2), 3) / 128 - 1


def _stretched(pixels: Tensor, dim: int) -> Tensor:
    """Interpolate at 299 positions counted from the first pixel, repeating the last pixel."""
    size = pixels.shape[dim]
    place = torch.arange(SIDE, device=pixels.device) * (size / SIDE)
    before = place.long()
    share = (place - before).reshape(-1, *(1,) * (pixels.dim() - 1 - dim))
    after = pixels.index_select(dim, (before + 1).clamp(max=size - 1))
    return torch.lerp(pixels.index_select(dim, before), after, share)


RESIZERS = {
    "": (as_pytorch_fid, f"{SIDE} px, bilinear, as pytorch-fid"),
    "clean": (as_clean_fid, f"{SIDE} px, bicubic with antialias, as clean-fid"),
    "tensorflow": (as_tensorflow, f"{SIDE} px, bilinear from the first pixel, as torch-fidelity"),
}
"""Variant to its function, and the description shown next to a score."""
