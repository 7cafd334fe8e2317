"""Layers of ours computed as published, with the same weights, for comparisons."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.nn import (
    CamAttention,
    Conv2d,
    DoublingConv2d,
    ImageConv2d,
    InstanceNorm,
    LayerInstanceNorm,
    ReflectionConv2d,
    ReflectionPad2d,
    SpectralConv2d,
    SpectralLinear,
)
from i2i_unit.layers import SampleNorm, UpsamplingConv2d


def publish(network: nn.Module) -> nn.Module:
    """Replace our faster layers by plain ones, in place: their parameters and buffers stay the same tensors."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            for kind, plain in _PLAIN.items():
                if type(child) is kind:
                    setattr(module, name, _Plain(child, plain))
    return network


class _Plain(nn.Module):
    def __init__(self, layer: nn.Module, compute) -> None:
        super().__init__()
        self.layer, self.compute = layer, compute

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.compute(self.layer, *inputs)


def _double(layer: DoublingConv2d, x: Tensor) -> Tensor:
    return F.conv2d(F.pad(F.interpolate(x, scale_factor=2), (1, 1, 1, 1), mode="reflect"), layer.weight)


def _upsample(layer: UpsamplingConv2d, x: Tensor) -> Tensor:
    larger = F.pad(F.interpolate(x, scale_factor=2), (2, 2, 2, 2), mode="reflect")
    return F.conv2d(larger, layer.weight, layer.bias)


def _draw(layer: ImageConv2d, x: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (3, 3, 3, 3), mode="reflect"), layer.weight, layer.bias)


def _instance_norm(layer: InstanceNorm, x: Tensor) -> Tensor:
    return F.instance_norm(x, eps=layer.eps)


def _reflect(layer: ReflectionPad2d, x: Tensor) -> Tensor:
    return F.pad(x, layer.padding, mode="reflect")


def _layer_instance_norm(layer: LayerInstanceNorm, x: Tensor, *style: Tensor) -> Tensor:
    gamma, beta = (value[:, :, None, None] for value in style) if style else (layer.gamma, layer.beta)
    ways = [
        (x - x.mean(axes, keepdim=True)) / torch.sqrt(x.var(axes, keepdim=True) + layer.eps)
        for axes in ((2, 3), (1, 2, 3))
    ]
    return (layer.rho * ways[0] + (1 - layer.rho) * ways[1]) * gamma + beta


def _sample_norm(layer: SampleNorm, x: Tensor) -> Tensor:
    flat = x.flatten(1)
    mean, std = (value[:, None, None, None] for value in (flat.mean(1), flat.std(1)))
    return (x - mean) / (std + layer.eps) * layer.gamma[:, None, None] + layer.beta[:, None, None]


def _attend(layer: CamAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    average, maximum = F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)
    heads = layer.heads
    logits = torch.cat([heads.average(average), heads.maximum(maximum)], 1)
    weights = [getattr(getattr(heads, name), "layer", getattr(heads, name)).weight for name in ("average", "maximum")]
    maps = torch.cat([x * weight[:, :, None, None] for weight in weights], 1)
    return F.leaky_relu(layer.merge(maps), layer.slope), logits


def _divide(layer: SpectralConv2d | SpectralLinear) -> Tensor:
    rows = layer.weight.flatten(1)
    if layer.training:
        with torch.no_grad():
            layer.v = F.normalize(rows.T @ layer.u, dim=0, eps=1e-12)
            layer.u = F.normalize(rows @ layer.v, dim=0, eps=1e-12)
    return layer.weight / torch.dot(layer.u, rows @ layer.v)


def _spectral_conv(layer: SpectralConv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, _divide(layer), layer.bias, layer.stride, layer.padding)


def _spectral_linear(layer: SpectralLinear, x: Tensor) -> Tensor:
    return F.linear(x, _divide(layer), layer.bias)


_PLAIN = {
    DoublingConv2d: _double, UpsamplingConv2d: _upsample, ImageConv2d: _draw, InstanceNorm: _instance_norm,
    LayerInstanceNorm: _layer_instance_norm, SampleNorm: _sample_norm, CamAttention: _attend,
    Conv2d: nn.Conv2d.forward, ReflectionConv2d: nn.Conv2d.forward, ReflectionPad2d: _reflect,
    SpectralConv2d: _spectral_conv, SpectralLinear: _spectral_linear,
}  # fmt: skip
