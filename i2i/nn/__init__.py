"""Network layers that several backbones share.

Whole generators and discriminators live in plugins.
"""

from __future__ import annotations

from i2i.nn.attention import CamAttention, CamHeads
from i2i.nn.convolutions import DoublingConv2d, ImageConv2d
from i2i.nn.norms import LayerInstanceNorm
from i2i.nn.spectral import SpectralConv2d, SpectralLinear
from i2i.nn.stages import ResidualBlock, doubling_stage, each_stage, entry_stage, halving_stage

__all__ = [
    "CamAttention",
    "CamHeads",
    "DoublingConv2d",
    "ImageConv2d",
    "LayerInstanceNorm",
    "ResidualBlock",
    "SpectralConv2d",
    "SpectralLinear",
    "doubling_stage",
    "each_stage",
    "entry_stage",
    "halving_stage",
]
