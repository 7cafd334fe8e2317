"""The discriminator contract: a network that judges the images of one domain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.parametrize import is_parametrized

from i2i.config.options import Options
from i2i.contracts.lookup import Lookup
from i2i.contracts.pretrained import Pretrained
from i2i.errors import ConfigError
from i2i.nn.spectral import SpectralConv2d


@dataclass
class Verdict:
    """The output of a discriminator for N images; one entry per scale or part.

    Attributes:
        logits: Patch logits, each ``(N, 1, h, w)``; high means real.
        cam_logits: Logits of the class-activation maps, each ``(N, heads)``; empty without a CAM.
        features: The maps that the logits are computed from, each ``(N, C, h, w)``.
        group_logits: Group logits, each ``(N, groups)``; empty without a group head.
        weights: Factors on the adversarial terms of ``logits`` and then of ``cam_logits``; empty: 1 each.
    """

    logits: list[Tensor]
    cam_logits: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    group_logits: list[Tensor] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


class Discriminator(nn.Module, ABC):
    """A network that judges the images of one domain; global and local, or several scales, are one discriminator.

    Attributes:
        name: The name in the registry.
        branch_points: ``fnmatch`` patterns of the submodules that a transfer may copy for each group; by
            default every direct child, that is: the whole discriminator.
        feature_channels: Channels of each map in ``Verdict.features``.
        mixes_samples: True where a sample's verdict also depends on the other samples of its batch, as with a
            mini-batch statistic; real images and fakes are then judged in separate batches. Torch's batch norms, its
            dropout and its own spectral norms are recognised without it.
        note: One sentence about a choice made for the user (a depth that fits the size), shown before training.
    """

    name: ClassVar[str]
    branch_points: tuple[str, ...] = ("*",)
    feature_channels: tuple[int, ...] = ()
    mixes_samples: bool = False
    note: str = ""

    class Config(Options):
        """Options of every discriminator."""

        size: int = Field(256, gt=0, description="Side of the training images in pixels.")
        channels: int = Field(64, gt=0, description="Width of the first layer.")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)`` in [-1, 1]."""

    def assemble(self, lookup: Lookup) -> None:
        """Build the parts that are components themselves, such as a feature network; called once, after construction.

        Override `renewed` as well.

        Raises:
            UnknownComponentError: No plugin provides a part.
        """

    def renewed(self) -> Self:
        """Return a discriminator like this one that has learned nothing; what is pretrained in it stays as it is."""
        return type(self)(self.config)

    def prepare(self, pretrained: Pretrained) -> None:
        """Load pretrained weights, once, before training; not called where a saved model's weights follow.

        On the meta device they are only looked for.

        Raises:
            WeightsError: The weights that the options name are missing, damaged, or those of another network.
        """

    def published_keys(self) -> dict[str, str]:
        """Return the keys of the state dict and those that the original project saves them by; {} without one."""
        return {}

    @classmethod
    def published_options(cls, state: Mapping[str, Tensor], whose: str) -> dict[str, Any]:
        """Return the options implied by the shapes of a published state dict, or of a part of it; {} if there are none.

        Args:
            state: The published state dict.
            whose: Its name in messages.

        Raises:
            CheckpointError: A layer that implies an option is missing.
        """
        return {}


class GroupHead(nn.Module):
    """A discriminator with a head that classifies the group of an image.

    A spectrally normalised 1x1 convolution of each feature map's global average, taken over the map padded by one
    reflected pixel as in the released code of Zhuang & Yang (arXiv 2007.13332).

    Args:
        judge: The discriminator.
        groups: How many groups there are.

    Raises:
        ConfigError: The discriminator shows no features.
    """

    def __init__(self, judge: Discriminator, groups: int) -> None:
        super().__init__()
        if not judge.feature_channels:
            raise ConfigError(
                f"The discriminator '{judge.name}' has no features (feature_channels is empty) to classify groups by. "
                "Choose another --discriminator, or --transfer.judge branched."
            )
        self.judge = judge
        self.heads = nn.ModuleList(SpectralConv2d(c, groups, 1, bias=False) for c in judge.feature_channels)

    def forward(self, x: Tensor) -> Verdict:
        """Judge ``x``, ``(N, 3, H, W)``, and add ``group_logits``, each ``(N, groups)``."""
        verdict: Verdict = self.judge(x)
        pairs = zip(self.heads, verdict.features, strict=True)
        logits = [rearrange(head(_padded_mean(feature)), "n groups 1 1 -> n groups") for head, feature in pairs]
        return replace(verdict, group_logits=logits)


def judges_each_alone(judge: nn.Module) -> bool:
    """Say whether real images and fakes may share a batch: no sample changes what is said of another one."""
    return not any(_mixes_samples(module) for module in judge.modules())


def _mixes_samples(module: nn.Module) -> bool:
    if isinstance(module, _BatchNorm):
        return module.training or module.running_mean is None
    if isinstance(module, _InstanceNorm):
        return module.training and module.track_running_stats
    if isinstance(module, _DropoutNd):  # which would draw other numbers
        return module.training
    iterates = bool(module._forward_pre_hooks) or is_parametrized(module)  # as torch's spectral norms do, once per call
    return iterates or getattr(module, "mixes_samples", False)


def _padded_mean(features: Tensor) -> Tensor:
    pad = min(1, min(features.shape[-2:]) - 1)  # a single pixel has nothing to reflect
    return reduce(F.pad(features, (pad,) * 4, mode="reflect"), "n c h w -> n c 1 1", "mean")
