"""Network layers that several backbones share, and an optimizer of their weights.

Whole generators and discriminators live in plugins.
"""

from __future__ import annotations

from i2i.nn.attention import CamAttention, CamHeads
from i2i.nn.convolutions import Conv2d, DoublingConv2d, ImageConv2d, ReflectionConv2d, Upsampling, fold_upsampling
from i2i.nn.joint import convolve, convolve_by, convolve_like
from i2i.nn.moments import channel_moments, scale_channels
from i2i.nn.norms import InstanceNorm, LayerInstanceNorm, pool_moments
from i2i.nn.padding import ReflectionPad2d, reflect
from i2i.nn.shuffling import shuffle_pixels
from i2i.nn.spectral import SpectralConv2d, SpectralLinear
from i2i.nn.spread import MinibatchStd
from i2i.nn.stages import ResidualBlock, doubling_stage, each_stage, entry_stage, halving_stage, outermost_stages
from i2i.nn.statistics import channel_means

__all__ = [
    "CamAttention",
    "CamHeads",
    "Conv2d",
    "DoublingConv2d",
    "ImageConv2d",
    "InstanceNorm",
    "LayerInstanceNorm",
    "MinibatchStd",
    "ReflectionConv2d",
    "ReflectionPad2d",
    "ResidualBlock",
    "SpectralConv2d",
    "SpectralLinear",
    "Upsampling",
    "channel_means",
    "channel_moments",
    "convolve",
    "convolve_by",
    "convolve_like",
    "doubling_stage",
    "each_stage",
    "entry_stage",
    "fold_upsampling",
    "halving_stage",
    "outermost_stages",
    "pool_moments",
    "reflect",
    "scale_channels",
    "shuffle_pixels",
]
