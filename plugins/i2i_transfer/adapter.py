"""Low-rank adapters: each new group changes the weights of the trunk's convolutions by little.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685), section 4.1, applied to
convolutions: the weight update, as a matrix of outputs by inputs and taps, has a low rank. Zhao et al. 2022, "Few-shot
Image Generation via Adaptation-Aware Kernel Modulation" (arXiv 2210.16559), section 4: the update is the weight times a
matrix of outputs by inputs of low rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from einops import einsum
from pydantic import Field
from torch import Tensor, nn

from i2i import Branches, Generator
from i2i.nn import CamAttention, Conv2d, ReflectionConv2d, convolve_by, convolve_like
from i2i_transfer.branch import Branch, Trunk


class LowRank(nn.Module):
    """One group's low-rank addition to a convolution: ``alpha / rank * up(down(x))``; ``up`` starts at zero.

    Args:
        conv: The convolution.
        rank: Channels between ``down``, which has the kernel of ``conv``, and ``up``, a 1x1 convolution.
        alpha: Factor, divided by the rank.
    """

    def __init__(self, conv: nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        self.down = nn.Conv2d(conv.in_channels, rank, **_geometry(conv), bias=False)
        self.up = nn.Conv2d(rank, conv.out_channels, 1, bias=False)
        self.scale = alpha / rank
        nn.init.zeros_(self.up.weight)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the group's response to ``x``, ``(N, in, H, W)``, to ``y``, ``(N, out, h, w)``."""
        added: Tensor = self.up(self.down(x))
        return y + self.scale * added

    def added(self, weight: Tensor) -> Tensor:
        """Return the group's addition to the shared weight, both ``(out, in, k, k)``."""
        return self.scale * einsum(self.up.weight[:, :, 0, 0], self.down.weight, "o rank, rank i h w -> o i h w")


class Unchanged(nn.Module):
    """The base group's adapter: the identity."""

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Return ``y``."""
        return y


class Modulation(nn.Module):
    """One group's factors on a convolution's weight: 1 + ``alpha / rank * up @ down``; ``up`` starts at zero.

    Args:
        conv: The convolution.
        rank: Rank of the factors less 1, as a matrix of outputs by inputs.
        alpha: Factor, divided by the rank.
    """

    def __init__(self, conv: nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.zeros(conv.out_channels, rank))
        self.down = nn.Parameter(torch.randn(rank, conv.in_channels) / rank**0.5)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        """Return the factors for each sample of ``x``, ``(N, in, H, W)``: ``(N, out, in)``."""
        return (1 + self.scale * self.up @ self.down).expand(len(x), -1, -1)

    def added(self, weight: Tensor) -> Tensor:
        """Return the group's addition to the shared weight, both ``(out, in, k, k)``."""
        return self.scale * (self.up @ self.down)[..., None, None] * weight


class Unmodulated(nn.Module):
    """The base group's factors: 1.

    Args:
        outputs: Output channels of the convolution.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the factors for each sample of ``x``, ``(N, in, H, W)``: ``(N, out, in)``."""
        return x.new_ones(()).expand(len(x), self.outputs, x.shape[1])


class AdaptedConv2d(nn.Conv2d):
    """A convolution with one addition per group; the names of its own parameters do not change.

    Args:
        conv: The convolution to wrap; its parameters are reused.
        adapters: The groups' additions.
    """

    def __init__(self, conv: nn.Conv2d, adapters: Branches) -> None:
        super().__init__(conv.in_channels, conv.out_channels, **_geometry(conv), device="meta")
        self.weight, self.bias = conv.weight, conv.bias
        self.adapters: nn.Module = adapters

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, ``(N, C, H, W)``, adding each sample's group adapter."""
        adapted: Tensor = self.adapters(convolve_by([self], x), x)
        return adapted

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """Return a plain convolution, after `i2i.keep_branch` has left a single adapter."""
        plain = nn.Conv2d(self.in_channels, self.out_channels, **_geometry(self), device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        if isinstance(self.adapters, LowRank | Modulation):
            plain.weight = nn.Parameter(self.weight + self.adapters.added(self.weight))
        return plain


class ModulatedConv2d(AdaptedConv2d):
    """A convolution whose adapters are factors on its weight."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each sample of ``x``, ``(N, C, H, W)``, with its group's weight."""
        factors: Tensor = self.adapters(x)
        weights = self.weight * factors[..., None, None]
        return convolve_like(self, x, weights, None if self.bias is None else self.bias.expand(len(x), -1))


class Adapter(Branch):
    """Like `branch`, plus low-rank adapters per new group on the trunk's convolutions; by default the trunk is frozen.

    Adapters start at zero, so right after ``adapt`` every group is translated like the base group. For inference
    `i2i.keep_branch` folds one group's adapters into plain convolutions.
    """

    name = "adapter"

    class Config(Branch.Config):
        """Options of the adapter transfer."""

        rank: int = Field(4, ge=1, description="Rank of a group's addition to a convolution's weight.")
        alpha: float = Field(4.0, gt=0, description="Factor on a group's addition, divided by the rank.")
        form: Literal["added", "modulated"] = Field(
            "added", description="A group's addition: a matrix of its own, or the shared weight times one."
        )
        branches: bool = Field(True, description="Give each group the outermost layers, too; off: adapters alone.")
        trunk: Trunk = Field("frozen", description="Whose samples train the shared layers.")

    config: Config

    def _reshape(self, generator: Generator) -> None:
        if self.config.branches:
            super()._reshape(generator)
        for path, conv in list(_convolutions(generator)):
            generator.set_submodule(path, self._adapted(conv))

    def _adapted(self, conv: nn.Conv2d) -> AdaptedConv2d:
        modulated = self.config.form == "modulated"
        kind, own = (ModulatedConv2d, Modulation) if modulated else (AdaptedConv2d, LowRank)
        unadapted = Unmodulated(conv.out_channels) if modulated else Unchanged()
        adapters = {group: own(conv, self.config.rank, self.config.alpha) for group in self.groups}
        return kind(conv, Branches(self.base, {self.base: unadapted, **adapters}))


def _convolutions(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the trunk's plain convolutions, except in attention, which reads a weight without calling the module."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and type(child) in (nn.Conv2d, Conv2d, ReflectionConv2d) and child.groups == 1:
            yield prefix + name, child
        elif not isinstance(child, Branches | CamAttention | AdaptedConv2d):
            yield from _convolutions(child, f"{prefix}{name}.")


def _geometry(conv: nn.Conv2d) -> dict[str, Any]:
    return {
        "kernel_size": conv.kernel_size, "stride": conv.stride, "padding": conv.padding, "dilation": conv.dilation,
        "padding_mode": conv.padding_mode,
    }  # fmt: skip
