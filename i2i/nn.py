"""Building blocks that several networks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _SpectralNorm:
    """Divide a layer's weight by its largest singular value, by one step of power iteration a training call.

    Miyato et al. 2018 (arXiv 1802.05957). ``weight`` stays the un-normalised parameter; U-GAT-IT's attention reads
    it. Torch's own parametrization iterates in another order and from another start, so that it cannot reproduce a
    published first iteration, and its older ``spectral_norm`` cannot be deep-copied, which branches need.
    """

    weight: Tensor
    u: Tensor
    v: Tensor
    training: bool
    register_buffer: Any

    def start(self) -> None:
        rows = self.weight.flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(rows.shape[0]), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(rows.shape[1]), dim=0, eps=1e-12))

    def normalised(self) -> Tensor:
        rows = self.weight.flatten(1)
        with torch.autocast(rows.device.type, enabled=False):  # the iteration stays in full precision
            if self.training:
                with torch.no_grad():
                    self.v = F.normalize(rows.T @ self.u, dim=0, eps=1e-12)
                    self.u = F.normalize(rows @ self.v, dim=0, eps=1e-12)
            return self.weight / torch.dot(self.u, rows @ self.v)


class SpectralConv2d(nn.Conv2d, _SpectralNorm):
    """A convolution with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, C, H, W)``."""
        return F.conv2d(x, self.normalised(), self.bias, self.stride, self.padding)


class SpectralLinear(nn.Linear, _SpectralNorm):
    """A linear layer with spectral normalisation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.start()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, ``(N, in)``, to ``(N, out)``."""
        return F.linear(x, self.normalised(), self.bias)


class DoublingConv2d(nn.Conv2d):
    """Nearest-neighbour up-sampling by 2, one reflected pixel of padding and a 3x3 convolution, as one convolution.

    Every output pixel sees only 2x2 different input pixels, so that a 2x2 convolution with four times the outputs and
    an interleaving compute the same with 2.25 times fewer operations. (Reflecting the up-sampled image repeats its
    border, so the input is padded by replication.)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, 2H, 2W)``."""
        y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), _by_phase(self.weight))
        y = y.reshape(len(y), -1, 2, 2, *y.shape[2:])  # (N, outputs, row phase, column phase, H + 1, W + 1)
        even, odd = slice(None, -1), slice(1, None)
        top = torch.stack([y[:, :, 0, 0, even, even], y[:, :, 0, 1, even, odd]], -1)
        bottom = torch.stack([y[:, :, 1, 0, odd, even], y[:, :, 1, 1, odd, odd]], -1)
        return torch.stack([top, bottom], 3).flatten(4, 5).flatten(2, 3)


class ImageConv2d(nn.Conv2d):
    """A 7x7 convolution to few channels over three reflected pixels of padding; even sizes only.

    Few outputs starve a convolution, so four neighbouring output pixels are computed as channels of an 8x8
    convolution of stride 2, and shuffled into place: the same sums, two to three times faster on a CPU.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 7, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        shifted = [F.pad(self.weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
        weight = torch.stack(shifted, 1).flatten(0, 1)  # (outputs * 4, inputs, 8, 8)
        return F.pixel_shuffle(F.conv2d(F.pad(x, (3, 3, 3, 3), mode="reflect"), weight, stride=2), 2)


class CamHeads(nn.Module):
    """The two domain classifiers of a class-activation map: one reads averages, the other maxima of the features."""

    def __init__(self, channels: int, spectral: bool = False, bias: bool = False) -> None:
        super().__init__()
        linear = SpectralLinear if spectral else nn.Linear
        self.average, self.maximum = linear(channels, 1, bias=bias), linear(channels, 1, bias=bias)

    def forward(self, average: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map two ``(N, C)`` to logits ``(N, 2)`` and the weights of either head, each ``(N, C)``.

        The weights are the raw ones also under spectral normalisation, as U-GAT-IT's code has them.
        """
        logits = torch.cat([self.average(average), self.maximum(maximum)], 1)
        count = len(average)
        return logits, self.average.weight.expand(count, -1), self.maximum.weight.expand(count, -1)


class CamAttention(nn.Module):
    """Weight features by their share in telling the domains apart (U-GAT-IT, arXiv 1907.10830, section 2.1.1).

    Args:
        channels: Width of the features.
        spectral: Normalise the classifiers spectrally.
        slope: Negative slope of the activation after merging; 0 is ReLU.
        bias: Let the classifiers have one.
    """

    def __init__(self, channels: int, spectral: bool = False, slope: float = 0.0, bias: bool = False) -> None:
        super().__init__()
        self.heads = CamHeads(channels, spectral, bias)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return attended features, ``(N, C, H, W)``, and the two logits, ``(N, 2)``."""
        logits, by_average, by_maximum = self.heads(x.mean((2, 3)), x.amax((2, 3)))
        if isinstance(self.heads, CamHeads):  # one head for all samples, not a branch a group
            y = F.conv2d(x, self._folded(by_average[:1], by_maximum[:1])[0], self.merge.bias)
        else:
            weight = self._folded(by_average, by_maximum).flatten(0, 1)  # (N * C, C, 1, 1)
            y = F.conv2d(x.flatten(0, 1)[None], weight, groups=len(x)).reshape(x.shape)
            y = y + self.merge.bias[:, None, None] if self.merge.bias is not None else y
        return F.leaky_relu(y, self.slope), logits

    def _folded(self, by_average: Tensor, by_maximum: Tensor) -> Tensor:
        """Weighting channels and merging two copies is one convolution: fold ``(n, C)`` into ``(n, C, C, 1, 1)``."""
        first, second = self.merge.weight.chunk(2, dim=1)
        return first * by_average[:, None, :, None, None] + second * by_maximum[:, None, :, None, None]


class LayerInstanceNorm(nn.Module):
    """``gamma * (rho * IN(x) + (1 - rho) * LN(x)) + beta``, rho in [0, 1] a channel (AdaLIN).

    Kim et al. 2020 (U-GAT-IT, arXiv 1907.10830), section 2.1.2. Variances are unbiased. Given ``gamma`` and ``beta`` a
    sample it is AdaLIN; with its own parameters, ILN.

    Args:
        channels: Width.
        rho: Start of rho; published: 0.9 when steered, 0 else.
        own: Learn gamma and beta, instead of being given them.
    """

    eps = 1e-5

    def __init__(self, channels: int, rho: float, own: bool) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), rho))
        if own:
            self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None) -> Tensor:
        """Normalise ``x``, ``(N, C, H, W)``; ``gamma`` and ``beta`` are ``(N, C)``."""
        gain = self.gamma if gamma is None else gamma[:, :, None, None]
        bias = self.beta if beta is None else beta[:, :, None, None]
        var, mean = torch.var_mean(x, (2, 3), correction=1, keepdim=True)
        layer_var, layer_mean = _pool_statistics(var, mean, x.shape[2] * x.shape[3])
        by_channel, by_layer = (
            self.rho * torch.rsqrt(var + self.eps),
            (1 - self.rho) * torch.rsqrt(layer_var + self.eps),
        )
        scale = gain * (by_channel + by_layer)
        return torch.addcmul(bias - gain * (by_channel * mean + by_layer * layer_mean), x, scale)

    @torch.no_grad()
    def clip(self) -> None:
        """Clip rho to [0, 1]; called after every update."""
        self.rho.clamp_(0, 1)


class ResidualBlock(nn.Module):
    """Two unbiased, reflection-padded 3x3 convolutions with instance norms beside a skip; keeps ``(N, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of ``x`` to ``x``."""
        y: Tensor = self.body(x)
        return x + y


def entry_stage(channels: int) -> nn.Sequential:
    """Map an image, ``(N, 3, H, W)``, to ``(N, channels, H, W)`` by a 7x7 convolution, instance norm and ReLU."""
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, channels, 7, bias=False), nn.InstanceNorm2d(channels), nn.ReLU()
    )


def halving_stage(channels: int) -> nn.Sequential:
    """Map ``(N, channels, H, W)`` to ``(N, 2 * channels, H / 2, W / 2)`` by a convolution, instance norm and ReLU."""
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(channels, 2 * channels, 3, stride=2, bias=False),
        nn.InstanceNorm2d(2 * channels), nn.ReLU(),
    )  # fmt: skip


def doubling_stage(channels: int) -> nn.Sequential:
    """Map ``(N, channels, H, W)`` to ``(N, channels / 2, 2 * H, 2 * W)`` by `DoublingConv2d`, ILN and ReLU."""
    return nn.Sequential(
        DoublingConv2d(channels, channels // 2), LayerInstanceNorm(channels // 2, 0.0, own=True), nn.ReLU()
    )


def each_stage(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """Return what comes out of every stage, each of which takes what the one before it gives."""
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps


def _pool_statistics(var: Tensor, mean: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """Return unbiased variance and mean over all channels, exactly, from each channel's."""
    whole = mean.mean(1, keepdim=True)
    squares = (pixels - 1) * var.sum(1, keepdim=True) + pixels * (mean - whole).square().sum(1, keepdim=True)
    return squares / (pixels * mean.shape[1] - 1), whole


def _by_phase(weight: Tensor) -> Tensor:
    """Turn ``(O, I, 3, 3)`` into ``(O * 4, I, 2, 2)``: which input pixels each of the 2x2 output pixels sees."""
    rows = _halve_taps(weight, 2)  # (O, 2, I, 2, 3)
    return _halve_taps(rows, 4).movedim(1, 2).flatten(0, 2)


def _halve_taps(weight: Tensor, dim: int) -> Tensor:
    """Merge the three taps along ``dim`` to the two that an even and an odd output see; phases become dimension 1."""
    first, middle, last = weight.unbind(dim)
    even = torch.stack([first, middle + last], dim)
    odd = torch.stack([first + middle, last], dim)
    return torch.stack([even, odd], 1)
